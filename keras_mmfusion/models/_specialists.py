"""Who of an ensemble decides about which class."""

import keras
import numpy as np
from keras import ops

from keras_mmfusion._serialization import register

TINY = 1e-7  # Below a probability in float32: only keeps zero from being divided.


@register()
class DecidedMean(keras.layers.Layer):
    """The mean of probabilities, save for classes with specialists of their own.

    Where `specialists` is the dict of a class number to the members that decide about
    it, its probability is their mean, or, if not `alone`, that of theirs and of the
    other members. These decide among the other classes, which share what is left as
    they say.
    """

    def __init__(self, specialists, num_members, num_classes, alone=True, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.supports_masking = True
        self.specialists = {int(k): list(of) for k, of in dict(specialists).items()}
        self.num_members, self.num_classes = num_members, num_classes
        self.alone = bool(alone)
        others = set(range(num_members)).difference(*self.specialists.values())
        self._weights_of = np.zeros((num_members, num_classes), "float32")
        for k in range(num_classes):
            special = self.specialists.get(k, [])
            deciders = special if special and alone else [*others, *special]
            self._weights_of[deciders, k] = 1 / len(deciders)
        self._special = np.zeros(num_classes, "float32")
        self._special[list(self.specialists)] = 1.0

    def call(self, inputs):
        means = sum(map(ops.multiply, inputs, self._weights_of))
        special = ops.multiply(means, self._special)
        common = means - special
        left = ops.maximum(1 - ops.sum(special, axis=-1, keepdims=True), 0.0)
        shared = ops.maximum(ops.sum(common, axis=-1, keepdims=True), TINY)
        # With several such classes, their specialists may claim more than there is.
        total = special + common * (left / shared)
        return total / ops.maximum(ops.sum(total, axis=-1, keepdims=True), TINY)

    def compute_mask(self, inputs, previous_mask):
        # All members see the same beats.
        return previous_mask and previous_mask[0]

    def compute_output_shape(self, input_shape):
        return input_shape[0]

    def get_config(self):
        return {
            **super().get_config(),
            "specialists": {str(k): of for k, of in self.specialists.items()},
            "num_members": self.num_members,
            "num_classes": self.num_classes,
            "alone": self.alone,
        }


def numbers_of(specialists, members):
    """`{number of the class: [number of the member]}` of what a user gave.

    Raises:
        ValueError: No such class or member, or nobody for the other classes.
    """
    classes, given = members[0].classes, specialists or {}
    if not isinstance(given, dict):
        raise ValueError(
            "`specialists` must be a dict from names of classes to lists of numbers of "
            f"members. Received: specialists={given!r}."
        )
    if not given:
        return {}
    numbers, known = {}, set(range(len(members)))
    for name, chosen in given.items():
        if classes is None or name not in classes:
            raise ValueError(
                "`specialists` must name classes of the members: "
                f"{classes and list(classes)}. Received: specialists={given}."
            )
        listed = isinstance(chosen, (list, tuple)) and len(chosen) > 0
        if not listed or not set(chosen) <= known:
            raise ValueError(
                "`specialists` must give each class the numbers of one or more of the "
                f"{len(members)} members, from 0. Received: specialists={given}."
            )
        numbers[classes.index(name)] = sorted(set(chosen))
    left = known.difference(*numbers.values())
    if not left or len(numbers) == len(classes):
        raise ValueError(
            "`specialists` must leave members and classes to decide about: the others. "
            f"Received: specialists={given} of {len(members)} members and the classes "
            f"{list(classes)}."
        )
    return numbers
