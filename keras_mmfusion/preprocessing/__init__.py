"""From raw signals to model inputs: the same code in training and at inference."""

from keras_mmfusion.preprocessing.beat_segments import BeatSegments as BeatSegments
from keras_mmfusion.preprocessing.calendar import annual_phase as annual_phase
from keras_mmfusion.preprocessing.calendar import calendar_features as calendar_features
from keras_mmfusion.preprocessing.caption_tokenizer import (
    CaptionTokenizer as CaptionTokenizer,
)
from keras_mmfusion.preprocessing.conformal_intervals import (
    ConformalIntervals as ConformalIntervals,
)
from keras_mmfusion.preprocessing.digit_image import (
    read_digit_image as read_digit_image,
)
from keras_mmfusion.preprocessing.digit_inputs import (
    DigitPreprocessor as DigitPreprocessor,
)
from keras_mmfusion.preprocessing.ecg_beats import BeatInputs as BeatInputs
from keras_mmfusion.preprocessing.ecg_beats import BeatPreprocessor as BeatPreprocessor
from keras_mmfusion.preprocessing.frame_features import (
    FrameFeatures as FrameFeatures,
)
from keras_mmfusion.preprocessing.frame_features import read_frames as read_frames
from keras_mmfusion.preprocessing.picture_files import read_picture as read_picture
from keras_mmfusion.preprocessing.picture_files import read_pictures as read_pictures
from keras_mmfusion.preprocessing.retrieval_inputs import (
    RetrievalPreprocessor as RetrievalPreprocessor,
)
from keras_mmfusion.preprocessing.series_scaler import SeriesScaler as SeriesScaler
from keras_mmfusion.preprocessing.series_windows import (
    SeriesPreprocessor as SeriesPreprocessor,
)
from keras_mmfusion.preprocessing.silence import trim_silence as trim_silence
from keras_mmfusion.preprocessing.spectrogram import (
    mask_spectrogram as mask_spectrogram,
)
from keras_mmfusion.preprocessing.spectrogram import mel_scale as mel_scale
from keras_mmfusion.preprocessing.spectrogram import spectrogram as spectrogram
from keras_mmfusion.preprocessing.white_noise import add_white_noise as add_white_noise
from keras_mmfusion.preprocessing.word_vectors import WordVectors as WordVectors
