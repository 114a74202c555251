"""Find images by texts and texts by images."""

import keras
import numpy as np

from keras_mmfusion._checks import check_positive_int
from keras_mmfusion._serialization import register
from keras_mmfusion.models._encoding import (
    check_encoders,
    encode_image,
    encode_tokens,
    sample_shapes,
)
from keras_mmfusion.models._fusion_model import FusionModel, restored, restored_layers
from keras_mmfusion.models._missing import AttachMask, MaskedMean, ShowMask
from keras_mmfusion.models._policies import policy_of, with_quantized
from keras_mmfusion.models._retrieval_parts import (
    AddNegatives,
    ContrastiveLoss,
    MatchingLoss,
    embed,
)
from keras_mmfusion.models._search import Searching
from keras_mmfusion.models.fusions import get_fusion

MODALITIES = ("image", "text")


@register()
class FusionRetriever(Searching, FusionModel):
    """Two towers that make vectors of images and texts, and a fusion that looks again.

    Images and texts are encoded apart, each becomes a unit vector, and what belongs
    together has a high cosine: a gallery is encoded once and searched by a product of
    matrices. Of the first candidates, encoded sequences are fused pair by pair, and a
    head says how well they match.

    `fit` needs no targets: row i of the images belongs to row i of the texts, and to
    no other of the batch. The loss is the contrastive one of the two towers, with a
    learned temperature, and in training that of the head, which sees each image with
    its text and with one that looks right and is wrong, and the reverse.

    Args:
        inputs: dict: `"image"`, the shape of one image `(height, width, channels)`, and
            `"text"`, `(length,)` of token numbers, where 0 is padding.
        encoders: dict: `"image"` and `"text"`, each a Keras layer or model that
            yields `(batch, time, features)`.
        fusion: str or layer, see `FusionClassifier`. Defaults to `"zoom_shift"`.
        dim: int. Width of the fused features. Defaults to `64`.
        embedding_dim: int. Length of the unit vectors. Defaults to `128`.
        fusion_options: dict, further arguments of the fusion. Defaults to `None`.
        temperature: float. Where the learned temperature starts. Defaults to `0.07`.
        rerank: int. Candidates that a search looks at again. Defaults to `20`.
        rerank_weight: float. What the matching score counts beside the cosine, which
            is divided by the temperature. Defaults to `1.0`.
        seed: int. Of the draws of wrong pairs. Defaults to `None`.
        dtype: Dtype policy of all but the encoders and the head.
            Defaults to `None`, the global policy.
        **kwargs: `name` and `trainable`, as for any Keras model.

    Call arguments:
        inputs: dict of `"image"`, a tensor `(batch, height, width, channels)`, and
            `"text"`, int32 `(batch, length)`.

    Input shape:
        `{"image": (batch, *inputs["image"]), "text": (batch, *inputs["text"])}`.

    Output shape:
        `{"image": (batch, embedding_dim), "text": (batch, embedding_dim), "match":
        (batch, 1)}`: unit vectors, and the score of each pair, a logit.

    Raises:
        ValueError: Names or shapes of modalities differ from `inputs`.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_mmfusion.layers import ATDEncoder
    from keras_mmfusion.models import FusionRetriever

    words = [keras.layers.Embedding(100, 16, mask_zero=True), ATDEncoder(16)]
    model = FusionRetriever(
        inputs={"image": (32, 32, 3), "text": (12,)},
        encoders={
            "image": ATDEncoder(16, patch=(8, 8), name="image_encoder"),
            "text": keras.Sequential(words, name="text_encoder"),
        },
        dim=16,
    )
    images = np.random.rand(8, 32, 32, 3).astype("float32")
    texts = np.random.randint(1, 100, (8, 12))
    model.compile("adam")
    model.fit({"image": images, "text": texts}, verbose=0)
    index = model.index_images(images)
    found = model.search(texts[:1], index, k=3)[0]
    assert found.items.shape == (3,)
    ```

    Reference:
        Qin, "Zoom and Shift is All You Need", section 4.2, which says nothing of how
        its models retrieve; two towers as in arXiv:2103.00020, matching as in
        arXiv:2107.07651.
    """

    def __init__(
        self,
        inputs,
        encoders,
        fusion="zoom_shift",
        dim=64,
        embedding_dim=128,
        fusion_options=None,
        temperature=0.07,
        rerank=20,
        rerank_weight=1.0,
        seed=None,
        dtype=None,
        **kwargs,
    ):
        inputs = sample_shapes(inputs)
        _check_modalities(inputs)
        check_encoders(inputs, encoders)
        check_positive_int(dim=dim, embedding_dim=embedding_dim)
        dim, embedding_dim = int(dim), int(embedding_dim)
        own_policy = keras.dtype_policies.get(dtype or keras.config.dtype_policy())
        policy = policy_of(own_policy, "")
        tensors = {
            "image": keras.Input(inputs["image"], name="image", dtype="float32"),
            "text": keras.Input(inputs["text"], name="text", dtype="int32"),
        }
        features = {
            "image": encode_image("image", tensors["image"], encoders["image"], policy),
            "text": encode_tokens("text", tensors["text"], encoders["text"], policy),
        }
        vectors = {
            name: embed(
                name,
                feature,
                embedding_dim,
                policy,
                policy_of(own_policy, f"{name}_projection"),
            )
            for name, feature in features.items()
        }
        present = {
            name: ShowMask(name=f"{name}_steps", dtype=policy)(feature)
            for name, feature in features.items()
        }
        logits = ContrastiveLoss(temperature, name="contrastive", dtype="float32")(
            [vectors[name] for name in MODALITIES]
        )
        pairs = AddNegatives(seed, name="negatives", dtype=policy)(
            [x[name] for x in (features, present) for name in MODALITIES] + [logits]
        )
        attached = [
            AttachMask(name=f"{name}_pair", dtype=policy)([feature, mask])
            for name, feature, mask in zip(
                MODALITIES, pairs[:2], pairs[2:], strict=True
            )
        ]
        fuse = get_fusion(fusion, dim, fusion_options, dtype=own_policy)
        fused = fuse(attached)
        x = MaskedMean(name="pool", dtype=policy)(fused)
        x = keras.layers.Dense(
            1, name="head", dtype=policy_of(own_policy, "head", "float32")
        )(x)
        match = MatchingLoss(name="matching", dtype="float32")([x, logits])
        super().__init__(inputs=tensors, outputs={**vectors, "match": match}, **kwargs)
        self.modalities = list(MODALITIES)
        self.preprocessor = None
        self.rerank = rerank
        self.rerank_weight = rerank_weight
        self._settings = {
            "fusion": fusion,
            "dim": dim,
            "embedding_dim": embedding_dim,
            "fusion_options": dict(fusion_options or {}),
            "temperature": temperature,
            "seed": seed,
        }
        self._shapes = [[name, list(shape)] for name, shape in inputs.items()]
        self._encoder_names = {
            name: encoder.name if encoder is not None else None
            for name, encoder in encoders.items()
        }
        self._fusion_name = fuse.name
        self._fused = attached, fused
        self._policy = own_policy

    @property
    def temperature(self):
        """float: what cosines are divided by, as learned."""
        learned = self.get_layer("contrastive").log_temperature
        learned = keras.ops.convert_to_numpy(learned)
        return float(np.exp(np.clip(learned, *ContrastiveLoss.BOUNDS)))

    def _check_targets(self, y=None, sample_weight=None, class_weight=None):
        super()._check_targets(y, sample_weight, class_weight)
        if sample_weight is not None and getattr(self, "loss", None) is None:
            # Keras weights losses of targets, of which there are none.
            raise ValueError(
                "A FusionRetriever counts all pairs of a batch alike. Received: a "
                "`sample_weight`. Leave out what is not to count."
            )

    def get_config(self):
        own = [self.get_layer(f"{name}_projection") for name in MODALITIES]
        own += [self._fusion(), self.get_layer("head")]
        policy = with_quantized(self._policy, own)
        return {
            **self._settings,
            "rerank": self.rerank,
            "rerank_weight": self.rerank_weight,
            **self._saved_state(),
            "dtype": keras.dtype_policies.serialize(policy),
            "fusion": self._saved_fusion(),
            "inputs": self._shapes,
            "encoders": {
                k: self._saved_layer(v) for k, v in self._encoder_names.items()
            },
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        config["encoders"] = restored_layers(config["encoders"], custom_objects)
        for key in ("fusion", "dtype"):
            config[key] = restored(config.get(key), custom_objects)
        return cls(**config)


def _check_modalities(inputs):
    ranks = {name: len(shape) for name, shape in inputs.items()}
    if ranks != {"image": 3, "text": 1}:
        raise ValueError(
            '`inputs` must be {"image": (height, width, channels), "text": (length,)}. '
            f"Received: {inputs}."
        )
