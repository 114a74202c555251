"""A fusion classifier of heart beats that takes ECG recordings as they are."""

import keras

from keras_mmfusion._serialization import register
from keras_mmfusion.models._beat_labeller import BeatLabeller
from keras_mmfusion.models.fusion_classifier import FusionClassifier


@register()
class BeatClassifier(BeatLabeller, FusionClassifier):
    """Label every beat of a run of consecutive beats.

    A `FusionClassifier` whose time axis counts beats and whose every step is
    classified, with the preprocessing and the class names to label a recording.

    Args:
        inputs, encoders, **kwargs: See `FusionClassifier`; `pooling` is `None`.
        classes: Sequence of str, the names of the classes.
        causal: bool. Whether a beat is judged by itself and the beats before it;
            fusion, decoder and preprocessor must be causal too.
            Defaults to `False`.
        consensus: `BeatConsensus` for `predict_beats` and `predict_record`, which see
            a whole recording. Defaults to `None`, every beat as the model sees it.

    Call arguments:
        inputs: dict of tensors `(batch, beats, ...)`.

    Output shape:
        `(batch, beats, len(classes))`.

    Example:

    ```python
    from keras_mmfusion import presets

    model = presets.load("atd_mitbih")
    beats = model.predict_record("mitdb/100")
    beats.counts()  # a dict: beats of each class, and of Q
    ```

    Reference:
        Ours; no equation of the papers, which judge beats one by one.
    """

    def __init__(
        self, inputs, encoders, classes=None, causal=False, consensus=None, **kwargs
    ):
        if classes is not None:
            count = kwargs.setdefault("num_classes", len(classes))
            if count != len(classes):
                raise ValueError(
                    "`num_classes` must be the number of `classes`, or left out. "
                    f"Received: num_classes={count!r}, classes={list(classes)}."
                )
        if kwargs.setdefault("pooling", None) is not None:
            raise ValueError(
                "A BeatClassifier classifies every beat, `pooling=None`. Received: "
                f"pooling={kwargs['pooling']!r}. A FusionClassifier classifies samples."
            )
        super().__init__(inputs, encoders, **kwargs)
        self.classes = classes
        self.causal = causal
        self.consensus = consensus

    def get_config(self):
        classes = list(self.classes) if self.classes is not None else None
        config = {
            **super().get_config(),
            "classes": classes,
            "causal": self.causal,
            "consensus": keras.saving.serialize_keras_object(self.consensus),
        }
        config.pop("pooling")
        return config

    @classmethod
    def from_config(cls, config, custom_objects=None):
        consensus = keras.saving.deserialize_keras_object(config.get("consensus"))
        config = {**config, "consensus": consensus}
        return super().from_config(config, custom_objects)

    def with_num_classes(self, num_classes):
        """See `FusionClassifier`; the new classes have no names until you set them."""
        return self._with_new_head(num_classes=num_classes, classes=None)

    @property
    def segment_length(self):
        """Beats in one sample."""
        return self._shapes[0][1][0]
