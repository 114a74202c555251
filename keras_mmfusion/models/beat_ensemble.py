"""Several beat classifiers that decide together."""

import keras
import numpy as np

from keras_mmfusion._serialization import register
from keras_mmfusion.models._beat_labeller import BeatLabeller
from keras_mmfusion.models._fusion_model import known_classes
from keras_mmfusion.models._named_model import NamedModel
from keras_mmfusion.models._policies import copy_weights
from keras_mmfusion.models._specialists import DecidedMean, numbers_of
from keras_mmfusion.models.beat_classifier import BeatClassifier


@register()
class BeatEnsemble(BeatLabeller, NamedModel):
    """The mean of the probabilities of several `BeatClassifier`s.

    Models that differ in their seed only differ most where the training data say
    least, as on a new patient's rare beats. Their mean is steadier than one of
    them. `fit` trains all members at once, on the loss of the mean.

    Members that were trained for it may decide about a class alone, as
    `specialists`: with `{"V": [2]}` the third says how probable V is, and the others
    share out the rest,

    ```
    p(V) = p_2(V),   p(k) = (1 - p(V)) p_01(k) / (1 - p_01(V))
    ```

    where `p_01` is the mean of the first two. With `alone=False` the others have their
    say about V as well, so that `p(V)` is the mean of all three.

    Args:
        members: Sequence of two or more `BeatClassifier`s with the same inputs,
            classes and `causal`. They are copied.
        consensus: `BeatConsensus` of the mean, for `predict_beats` and
            `predict_record`; those of the members are not used. Defaults to `None`.
        specialists: dict, name of a class to a list of numbers of members, from 0.
            They decide about this class, and about nothing else. Defaults to
            `None`: all decide about all classes.
        alone: bool. Whether the other members have no say about that class.
            Defaults to `True`.
        **kwargs: `name` and `trainable`, as for any Keras model.

    Call arguments:
        inputs: dict of tensors `(batch, beats, ...)`, as for a member.

    Output shape:
        `(batch, beats, len(classes))`; with members without heads their
        features side by side.

    Raises:
        ValueError: Fewer than two members, members that do not fit together, or
            specialists without a class, or with none left beside them.

    Example:

    ```python
    import keras
    from keras_mmfusion.models import BeatClassifier, BeatEnsemble

    def member():
        return BeatClassifier(
            inputs={"rhythm": (32, 2)},
            encoders={"rhythm": keras.layers.Dense(8)},
            classes=["N", "S", "V"],
        )

    model = BeatEnsemble([member(), member()])
    model.output_shape  # (None, 32, 3)
    BeatEnsemble(model.members, specialists={"V": [1]}).specialists  # {"V": [1]}
    ```

    Reference:
        Lakshminarayanan et al., Simple and scalable predictive uncertainty
        estimation using deep ensembles (2017), §2.4. The specialists are ours.
    """

    def __init__(self, members, consensus=None, specialists=None, alone=True, **kwargs):
        members = list(members)
        if len(members) < 2 or not all(isinstance(m, BeatClassifier) for m in members):
            kinds = [type(m).__name__ for m in members]
            raise ValueError(
                "`members` must be two or more BeatClassifiers. "
                f"Received: members={kinds}."
            )
        for member in members[1:]:
            for key in ("_shapes", "classes", "causal", "num_classes"):
                ours, others = getattr(members[0], key), getattr(member, key)
                if ours != others:
                    raise ValueError(
                        "All members must have the same inputs, classes and `causal`. "
                        f"Received: {key.strip('_')}={ours} and {others}."
                    )
        specialists = numbers_of(specialists, members)
        members = [_copy(member, f"member_{i}") for i, member in enumerate(members)]
        tensors = {
            name: keras.Input(shape, name=name, dtype="float32")
            for name, shape in members[0]._shapes
        }
        outputs = [member(tensors) for member in members]
        if specialists:
            sizes = len(members), members[0].num_classes
            merge = DecidedMean(specialists, *sizes, alone, name="mean")
        elif members[0].num_classes:
            merge = keras.layers.Average(name="mean", dtype="float32")
        else:
            merge = keras.layers.Concatenate(name="features")
        super().__init__(inputs=tensors, outputs=merge(outputs), **kwargs)
        self._names = [member.name for member in members]
        self._specialists, self.alone = specialists, bool(alone)
        self.modalities = list(members[0].modalities)
        self.causal = members[0].causal
        self.num_classes = members[0].num_classes
        self.segment_length = members[0].segment_length
        self.preprocessor = None
        self.consensus = consensus

    @property
    def members(self):
        """The `BeatClassifier`s."""
        return [self.get_layer(name) for name in self._names]

    @property
    def specialists(self):
        """`{class: [number of a member]}` of those that decide about nothing else."""
        return {self.classes[k]: list(of) for k, of in self._specialists.items()}

    @property
    def classes(self):
        """Names of the classes, or `None`; set them after a new head."""
        return self.members[0].classes

    @classes.setter
    def classes(self, names):
        if names is None and self._specialists:
            raise ValueError(
                "`classes` must be names where members are specialists of a class. "
                f"Received: classes=None, specialists={self.specialists}."
            )
        for member in self.members:
            member.classes = names

    def get_config(self):
        return {
            **self._saved_state(),
            "members": [
                keras.saving.serialize_keras_object(member) for member in self.members
            ],
            "consensus": keras.saving.serialize_keras_object(self.consensus),
            **(
                {"specialists": self.specialists, "alone": self.alone}
                if self._specialists
                else {}
            ),
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        members = [
            keras.saving.deserialize_keras_object(m, custom_objects=custom_objects)
            for m in config["members"]
        ]
        consensus = keras.saving.deserialize_keras_object(config.get("consensus"))
        return cls(**{**config, "members": members, "consensus": consensus})

    def with_num_classes(self, num_classes):
        """The same ensemble with fresh heads for other classes, without names yet.

        All members then decide about all classes.

        Args:
            num_classes: int. `0` leaves the heads out.

        Returns:
            A new model; the weights below the heads are copied.
        """
        members = [member.with_num_classes(num_classes) for member in self.members]
        model = type(self)(members, self.consensus, name=self.name)
        model.preprocessor = self.preprocessor
        return model

    def fused_features(self, x, **kwargs):
        """The fused features of all members side by side; see `FusionClassifier`."""
        features = [member.fused_features(x, **kwargs) for member in self.members]
        return np.concatenate(features, axis=-1)

    def modality_features(self, x, **kwargs):
        """The features of each modality, of all members side by side."""
        parts = [member.modality_features(x, **kwargs) for member in self.members]
        return {
            name: np.concatenate([part[name] for part in parts], axis=-1)
            for name in self.modalities
        }

    def attention_scores(self, x, **kwargs):
        """The attention weights, the heads of all members side by side.

        Args:
            x, **kwargs: See `FusionClassifier.attention_scores`.

        Returns:
            Dict of arrays `(samples, heads, steps, steps)`: the heads of the first
            member, then those of the second, and so on.

        Raises:
            ValueError: The fusions have no attention, or not the same ones.
        """
        parts = [member.attention_scores(x, **kwargs) for member in self.members]
        steps = [{k: v.shape[2:] for k, v in part.items()} for part in parts]
        for others in steps[1:]:
            if others != steps[0]:
                raise ValueError(
                    "`attention_scores` needs members that attend alike. Received: "
                    f"{steps[0]} and {others}. Ask one of `model.members`."
                )
        return {
            name: np.concatenate([part[name] for part in parts], axis=1)
            for name in parts[0]
        }


def _copy(member, name):
    # Paths that differ: by them PyTorch knows its parameters, and would keep those of
    # one member only.
    with keras.name_scope(name), known_classes(member):
        copy = type(member).from_config({**member.get_config(), "name": name})
    copy_weights(member, copy)
    return copy
