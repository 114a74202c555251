"""Multimodal fusion for Keras 3."""

from keras_mmfusion._version import __version__ as __version__
