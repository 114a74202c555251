"""Stage 1: encoders and fusion of a beat classifier learn to reconstruct their inputs.

The weight-sharing autoencoder of Zheng et al., sections III.C and IV.C, around the
layers of the classifier itself: what these learn here, it begins with.
"""

import math
import sys
from pathlib import Path

import architecture
import keras
from keras import layers

from keras_mmfusion.models import FusionAutoencoder

sys.path.append(str(Path(__file__).parents[1]))
import devices
import resuming
import speed

STEPS = 600
LEARNING_RATE = 1e-3


class Reconstruction(keras.utils.PyDataset):
    """The inputs of a sampler, as inputs and as targets."""

    def __init__(self, sampler):
        super().__init__()
        self.sampler = sampler

    def __len__(self):
        return len(self.sampler)

    def __getitem__(self, index):
        x = self.sampler[index][0]
        return x, x


def autoencoder(model):
    """A `FusionAutoencoder` that shares encoders and fusion with a classifier."""
    names = model.modalities
    shapes = {name: tuple(model.input[name].shape[1:]) for name in names}
    return FusionAutoencoder(
        inputs=shapes,
        encoders={name: model.get_layer(f"{name}_encoder") for name in names},
        decoders={name: decoder(name, shapes[name]) for name in names},
        fusion=model.get_layer("fusion"),
        dim=architecture.WIDTH,
        modality_dropout=0.2,
        name="beat_autoencoder",
    )


def decoder(name, shape):
    """From the fused features of a beat to its samples."""
    return keras.Sequential(
        [
            layers.Dense(64, activation="relu", name="hidden"),
            layers.Dense(math.prod(shape[1:]), name="samples"),
            layers.Reshape(shape, name="beats"),
        ],
        name=f"{name}_decoder",
    )


def pretrain(model, sampler, folder, args):
    """Train encoders and fusion of `model` in place: `(seconds, last errors)`."""
    stage_1 = autoencoder(model)
    batches = Reconstruction(speed.Prefetched(sampler, args.workers))
    epochs = max(min(STEPS, args.steps) // len(batches), 1)
    decay = keras.optimizers.schedules.CosineDecay(
        LEARNING_RATE, epochs * len(batches), alpha=0.01
    )
    stage_1.compile(
        keras.optimizers.Adam(decay), steps_per_execution=args.steps_per_execution
    )
    checkpoint = resuming.Checkpoint(
        folder, epochs, name="stage_1", writes=args.process == 0
    )
    stage_1.fit(
        devices.shares(batches, args),
        **checkpoint.span,
        shuffle=False,
        verbose=2 if args.quiet else 1,
        # Each epoch draws other segments.
        callbacks=[resuming.EpochOf(sampler), checkpoint],
    )
    errors = {name: round(value, 5) for name, value in checkpoint.last.items()}
    return checkpoint.seconds, errors
