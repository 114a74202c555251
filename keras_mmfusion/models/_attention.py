"""How a model hands out the attention weights of its fusion."""

import keras


class AttentionScores(keras.layers.Layer):
    """The scores of a fusion layer, instead of its output, from the same inputs.

    A layer of its own because Keras (3.15) takes all calls of a layer in a functional
    model to have as many outputs as the first.
    """

    def __init__(self, fusion, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.fusion = fusion
        self.supports_masking = True
        self.built = True

    def call(self, inputs, mask=None):
        return self.fusion(inputs, mask=mask, return_attention_scores=True)[1]

    def compute_mask(self, inputs, mask=None):
        return None

    def compute_output_spec(self, inputs, mask=None):
        return self.fusion.compute_output_spec(inputs, return_attention_scores=True)[1]


def attention_scores(model, fusion, fused, x, **kwargs):
    """What `FusionClassifier.attention_scores` returns."""
    names = _names(fusion, model.modalities)
    if not names:
        raise ValueError(
            "`attention_scores` needs a fusion with attention, such as 'atd', 'step', "
            "'cascade', 'zoom_shift', 'mult' or 'cross_attention'. "
            f"Received: a model that fuses by {type(fusion).__name__}."
        )
    model.check_inputs(x)
    scores = AttentionScores(fusion, name="attention_scores")(list(fused))
    part = keras.Model(model.input, dict(zip(names, scores, strict=True)))
    predicted = part.predict(x, **{"verbose": 0, **kwargs})
    return {name: predicted[name] for name in names}


def _names(fusion, modalities):
    """A name for each attention of a fusion layer: `"asking → asked"`, numbered."""
    if not hasattr(fusion, "attention_names"):
        return []
    pairs = [f"{a} → {b}" for a, b in fusion.attention_names(modalities)]
    return [
        f"{pair} {pairs[: i + 1].count(pair)}" if pairs.count(pair) > 1 else pair
        for i, pair in enumerate(pairs)
    ]
