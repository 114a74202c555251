"""Metrics the fields of the presets report; numpy only."""

from keras_mmfusion.metrics.beat_metrics import NO_BEAT as NO_BEAT
from keras_mmfusion.metrics.beat_metrics import BeatMetrics as BeatMetrics
from keras_mmfusion.metrics.beat_metrics import beat_metrics as beat_metrics
from keras_mmfusion.metrics.beat_metrics import confusion_matrix as confusion_matrix
from keras_mmfusion.metrics.beat_metrics import match_beats as match_beats
from keras_mmfusion.metrics.emotion_metrics import EmotionMetrics as EmotionMetrics
from keras_mmfusion.metrics.emotion_metrics import emotion_metrics as emotion_metrics
from keras_mmfusion.metrics.emotion_metrics import (
    unweighted_accuracy as unweighted_accuracy,
)
from keras_mmfusion.metrics.forecast_metrics import forecast_metrics as forecast_metrics
from keras_mmfusion.metrics.retrieval_metrics import (
    RetrievalMetrics as RetrievalMetrics,
)
from keras_mmfusion.metrics.retrieval_metrics import (
    retrieval_metrics as retrieval_metrics,
)
from keras_mmfusion.metrics.retrieval_metrics import retrieval_ranks as retrieval_ranks
