"""Fusion layers, encoders and what goes before them."""

from keras_mmfusion.layers.atd_fusion import ATDFusion as ATDFusion
from keras_mmfusion.layers.concat_fusion import ConcatFusion as ConcatFusion
from keras_mmfusion.layers.gramian_angular_field import (
    GramianAngularField as GramianAngularField,
)
from keras_mmfusion.layers.lstm_encoder import LSTMEncoder as LSTMEncoder
from keras_mmfusion.layers.modality_dropout import ModalityDropout as ModalityDropout
from keras_mmfusion.layers.per_step_encoder import PerStepEncoder as PerStepEncoder
from keras_mmfusion.layers.resnet_1d_encoder import ResNet1DEncoder as ResNet1DEncoder
from keras_mmfusion.layers.resnet_2d_encoder import ResNet2DEncoder as ResNet2DEncoder
from keras_mmfusion.layers.resnet_lstm_encoder import (
    ResNetLSTMEncoder as ResNetLSTMEncoder,
)
from keras_mmfusion.layers.step_fusion import StepFusion as StepFusion

__all__ = [
    "ATDFusion",
    "ConcatFusion",
    "GramianAngularField",
    "LSTMEncoder",
    "ModalityDropout",
    "PerStepEncoder",
    "ResNet1DEncoder",
    "ResNet2DEncoder",
    "ResNetLSTMEncoder",
    "StepFusion",
]
