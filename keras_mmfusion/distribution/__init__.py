"""Training on several devices: batches shared out, or the weights of a model."""

from keras_mmfusion.distribution.data_parallel import data_parallel as data_parallel
from keras_mmfusion.distribution.tensor_parallel_layout import (
    tensor_parallel_layout as tensor_parallel_layout,
)
