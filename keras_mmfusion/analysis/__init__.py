"""Looking at what a model says: labelled beats and their picture."""

from keras_mmfusion.analysis.beat_labels import BeatLabels as BeatLabels
from keras_mmfusion.analysis.beat_plot import plot_beats as plot_beats
