"""Training of networks on paired samples, with a look at held-out ones meanwhile."""

import keras
import numpy as np


class PairBatches(keras.utils.PyDataset):
    """Random batches of pairs, alike for one seed on every backend.

    Args:
        arrays: Pair of arrays, a row a sample.
        batch_size: int.
        batches: int, how many make an epoch.
        arrange: Function of the two parts of a batch, to what the model takes.
        seed: int.
    """

    def __init__(self, arrays, batch_size, batches, arrange, seed):
        super().__init__()
        self.arrays, self.batches, self.arrange = arrays, batches, arrange
        self.batch_size = min(batch_size, len(arrays[0]))
        self.seed, self.epoch = seed, 0

    def __len__(self):
        return self.batches

    def __getitem__(self, index):
        rng = np.random.default_rng([self.seed, self.epoch, index])
        rows = rng.choice(len(self.arrays[0]), self.batch_size, replace=False)
        return (self.arrange(*(array[rows] for array in self.arrays)),)

    def on_epoch_end(self):
        self.epoch += 1


def dense_network(features, hidden, units, activation, seed, name):
    """Dense layers, the last one linear; in float32 whatever the global policy."""
    network = keras.Sequential([keras.Input((features,))], name=name)
    for number, width in enumerate((*hidden, units)):
        network.add(
            keras.layers.Dense(
                width,
                activation=activation if number < len(hidden) else None,
                kernel_initializer=keras.initializers.GlorotUniform(seed + number),
                dtype="float32",
                name=f"dense_{number}",
            )
        )
    return network


def fit(model, batches, epochs, learning_rate, score):
    """Train a model whose layers add its loss.

    Args:
        model: Keras model.
        batches: `PairBatches`.
        epochs: int.
        learning_rate: float, of Adam.
        score: Function of nothing, called after each epoch.

    Returns:
        `(losses, scores)`: arrays `(epochs,)` and `(epochs, ...)`.
    """
    # Exponentials and inverse roots: without a limit single batches would decide.
    model.compile(keras.optimizers.Adam(learning_rate, global_clipnorm=1.0))
    scores = []
    look = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: scores.append(score())
    )
    # Keras would shuffle the batches by a seed that is not ours.
    options = {"epochs": epochs, "shuffle": False, "verbose": 0}
    history = model.fit(batches, callbacks=[look], **options)
    return np.array(history.history["loss"]), np.array(scores)
