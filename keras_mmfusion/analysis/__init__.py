"""Looking at what a model says and attends to: labels, their errors, pictures."""

from keras_mmfusion.analysis.attention_map import attention_map as attention_map
from keras_mmfusion.analysis.beat_comparison import Comparison as Comparison
from keras_mmfusion.analysis.beat_comparison import compare as compare
from keras_mmfusion.analysis.beat_comparison import pool as pool
from keras_mmfusion.analysis.beat_labels import BeatLabels as BeatLabels
from keras_mmfusion.analysis.beat_plot import plot_beats as plot_beats
from keras_mmfusion.analysis.digit_plot import class_values as class_values
from keras_mmfusion.analysis.digit_plot import plot_digits as plot_digits
from keras_mmfusion.analysis.forecast import Forecast as Forecast
from keras_mmfusion.analysis.forecast import plot_forecast as plot_forecast
