"""Fusion layers, encoders and what goes before them."""

from keras_mmfusion.layers.add_noise import AddNoise as AddNoise
from keras_mmfusion.layers.atd_encoder import ATDEncoder as ATDEncoder
from keras_mmfusion.layers.atd_fusion import ATDFusion as ATDFusion
from keras_mmfusion.layers.atd_guide import ATDGuide as ATDGuide
from keras_mmfusion.layers.cascade_mha import CascadeMHA as CascadeMHA
from keras_mmfusion.layers.concat_fusion import ConcatFusion as ConcatFusion
from keras_mmfusion.layers.conv_lstm_fusion import ConvLSTMFusion as ConvLSTMFusion
from keras_mmfusion.layers.conv_lstm_fusion_cell import (
    ConvLSTMFusionCell as ConvLSTMFusionCell,
)
from keras_mmfusion.layers.cross_attention_fusion import (
    CrossAttentionFusion as CrossAttentionFusion,
)
from keras_mmfusion.layers.d_linear import DLinear as DLinear
from keras_mmfusion.layers.frame_pooling import FramePooling as FramePooling
from keras_mmfusion.layers.gramian_angular_field import (
    GramianAngularField as GramianAngularField,
)
from keras_mmfusion.layers.linear_forecast import LinearForecast as LinearForecast
from keras_mmfusion.layers.log_mel import LogMel as LogMel
from keras_mmfusion.layers.low_rank_fusion import LowRankFusion as LowRankFusion
from keras_mmfusion.layers.lstm_encoder import LSTMEncoder as LSTMEncoder
from keras_mmfusion.layers.markov_transition_field import (
    MarkovTransitionField as MarkovTransitionField,
)
from keras_mmfusion.layers.modality_dropout import ModalityDropout as ModalityDropout
from keras_mmfusion.layers.mult_fusion import MulTFusion as MulTFusion
from keras_mmfusion.layers.n_linear import NLinear as NLinear
from keras_mmfusion.layers.per_step_encoder import PerStepEncoder as PerStepEncoder
from keras_mmfusion.layers.period_fold import PeriodFold as PeriodFold
from keras_mmfusion.layers.recurrence_plot import RecurrencePlot as RecurrencePlot
from keras_mmfusion.layers.residual_attention_block import (
    ResidualAttentionBlock as ResidualAttentionBlock,
)
from keras_mmfusion.layers.resnet_1d_encoder import ResNet1DEncoder as ResNet1DEncoder
from keras_mmfusion.layers.resnet_2d_encoder import ResNet2DEncoder as ResNet2DEncoder
from keras_mmfusion.layers.resnet_lstm_encoder import (
    ResNetLSTMEncoder as ResNetLSTMEncoder,
)
from keras_mmfusion.layers.seasonal_naive import SeasonalNaive as SeasonalNaive
from keras_mmfusion.layers.step_fusion import StepFusion as StepFusion
from keras_mmfusion.layers.temporal_pyramid_pooling import (
    TemporalPyramidPooling as TemporalPyramidPooling,
)
from keras_mmfusion.layers.tensor_fusion import TensorFusion as TensorFusion
from keras_mmfusion.layers.zoom_shift_fusion import ZoomShiftFusion as ZoomShiftFusion

__all__ = [
    "ATDEncoder",
    "ATDFusion",
    "ATDGuide",
    "AddNoise",
    "CascadeMHA",
    "ConcatFusion",
    "ConvLSTMFusion",
    "ConvLSTMFusionCell",
    "CrossAttentionFusion",
    "DLinear",
    "FramePooling",
    "GramianAngularField",
    "LSTMEncoder",
    "LinearForecast",
    "LogMel",
    "LowRankFusion",
    "MarkovTransitionField",
    "ModalityDropout",
    "MulTFusion",
    "NLinear",
    "PerStepEncoder",
    "PeriodFold",
    "RecurrencePlot",
    "ResNet1DEncoder",
    "ResNet2DEncoder",
    "ResNetLSTMEncoder",
    "ResidualAttentionBlock",
    "SeasonalNaive",
    "StepFusion",
    "TemporalPyramidPooling",
    "TensorFusion",
    "ZoomShiftFusion",
]
