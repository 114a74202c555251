"""From raw signals to model inputs: the same code in training and at inference."""

from keras_mmfusion.preprocessing.beat_segments import BeatSegments as BeatSegments
from keras_mmfusion.preprocessing.ecg_beats import BeatInputs as BeatInputs
from keras_mmfusion.preprocessing.ecg_beats import BeatPreprocessor as BeatPreprocessor
