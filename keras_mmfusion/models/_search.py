"""Encoding, indexing and searching, for a model of images and texts."""

import os
import zlib

import keras
import numpy as np

from keras_mmfusion._checks import check_positive_int, is_whole
from keras_mmfusion.models._missing import AttachMask
from keras_mmfusion.models.retrieval_index import Found, RetrievalIndex, nearest

# More than any score: what was looked at again comes before the rest.
AHEAD = 1e6
PAIRS_AT_ONCE = 32


class Searching:
    """What `FusionRetriever` does once it is trained."""

    def encode_images(self, images, batch_size=64):
        """Unit vectors of images.

        Args:
            images: array `(images, height, width, channels)`, or what the
                preprocessor of the model takes: a list of paths or pictures.
            batch_size: int. Defaults to `64`.

        Returns:
            float32 array `(images, embedding_dim)`.
        """
        return self._encoded("image", images, batch_size)["embedding"]

    def encode_texts(self, texts, batch_size=64):
        """Unit vectors of texts.

        Args:
            texts: int array `(texts, length)` of token numbers, or a list of str,
                which needs the preprocessor of the model.
            batch_size: int. Defaults to `64`.

        Returns:
            float32 array `(texts, embedding_dim)`.
        """
        return self._encoded("text", texts, batch_size)["embedding"]

    def index_images(self, images, names=None, features=True, batch_size=64):
        """Encode a gallery of images once, to be searched many times.

        Args:
            images: As for `encode_images`.
            names: Sequence of str. Defaults to `None`: paths, or numbers.
            features: bool. Whether to keep what re-ranking needs: `time * dim` numbers
                an image in half precision. Defaults to `True`.
            batch_size: int. Defaults to `64`.

        Returns:
            `RetrievalIndex`.
        """
        return self._index("image", images, names, features, batch_size)

    def index_texts(self, texts, names=None, features=True, batch_size=64):
        """Encode a gallery of texts once; arguments as of `index_images`."""
        return self._index("text", texts, names, features, batch_size)

    def search(self, query, index, k=10, rerank=None):
        """The items of an index that fit a query best.

        Args:
            query: str, a text; a path or array `(height, width, channels)`, an image;
                or several: a list of them, or an array of images or of token numbers.
            index: `RetrievalIndex` of images or texts. Images can be asked for images,
                and texts for texts; these are not ranked again.
            k: int. Items to return. Defaults to `10`.
            rerank: int. Candidates to look at again by the fusion; 0 for none.
                Defaults to `None`: what the model was made with, if the index has
                the features for it.

        Returns:
            `Found`, with `names`, `items` and `similarities`; a list of these for
            several queries.

        Raises:
            ValueError: The index is of another model, or of this one before it was
                trained further, or has none of the features that `rerank` needs.
        """
        kind, queries, single = _queries(query)
        check_positive_int(k=k)
        _require_index(index)
        rerank = self._rerank_of(rerank, kind, index)
        encoded = self._encoded(kind, queries, 64, features=rerank > 0)
        vectors = encoded["embedding"]
        self._check_index(index)
        items, cosines = nearest(vectors, index.embeddings, max(k, rerank))
        if rerank:
            order = self._order(kind, encoded, index, items, cosines, rerank)
            items = np.take_along_axis(items, order, axis=1)
            cosines = np.take_along_axis(cosines, order, axis=1)
        found = [
            Found([index.names[i] for i in row[:k]], row[:k], values[:k])
            for row, values in zip(items, cosines, strict=True)
        ]
        return found[0] if single else found

    def retrieval_scores(self, images, texts, rerank=None):
        """Scores of all pairs, as `metrics.retrieval_metrics` takes them.

        Args:
            images, texts: `RetrievalIndex` of each.
            rerank: int, as for `search`.

        Returns:
            `(scores, image_scores)`, arrays `(images, texts)`: by the first, texts are
            ranked for an image; by the second, images for a text. Both are the same
            without re-ranking.
        """
        _require_index(images)
        _require_index(texts)
        if (images.kind, texts.kind) != ("image", "text"):
            raise ValueError(
                "Expected an index of images, then one of texts. Received: "
                f"one of {images.kind}s and one of {texts.kind}s."
            )
        self._check_index(images)
        self._check_index(texts)
        rerank = self._rerank_of(rerank, "text", images)
        self._rerank_of(rerank, "image", texts)
        scores = self._ahead("image", images, texts, rerank)
        return scores, self._ahead("text", texts, images, rerank).T

    def _ahead(self, kind, asking, index, rerank):
        """Cosines of all pairs over the temperature, with the first ones re-ranked."""
        # Far from zero, single precision would make scores equal that are not.
        cosines = (asking.embeddings @ index.embeddings.T).astype("float64")
        scores = cosines / self.temperature
        if rerank:
            encoded = {"features": asking.features, "present": asking.present}
            items, cosines = nearest(asking.embeddings, index.embeddings, rerank)
            again = self._looked_at_again(kind, encoded, index, items, cosines)
            np.put_along_axis(scores, items, AHEAD + again, axis=1)
        return scores

    def _order(self, kind, encoded, index, items, cosines, rerank):
        """How to order what was found: the first by the fusion, the rest as it is."""
        again = self._looked_at_again(
            kind, encoded, index, items[:, :rerank], cosines[:, :rerank]
        )
        first = np.argsort(-again, axis=1, kind="stable")
        rest = np.broadcast_to(
            np.arange(first.shape[1], items.shape[1]),
            (len(items), items.shape[1] - first.shape[1]),
        )
        return np.concatenate([first, rest], axis=1)

    def _looked_at_again(self, kind, encoded, index, items, cosines):
        """Matching scores `(queries, candidates)` beside the cosines."""
        asking = np.repeat(np.arange(len(items)), items.shape[1])
        asked = items.reshape(-1)
        match = self._match(kind, encoded, index, asking, asked)
        again = self.rerank_weight * match.reshape(items.shape)
        return again + cosines / self.temperature

    def _match(self, kind, encoded, index, asking, asked):
        """Scores of pairs, in batches of one size: each size would be compiled."""
        missing = -len(asked) % PAIRS_AT_ONCE
        asking, asked = (np.pad(x, (0, missing), "edge") for x in (asking, asked))
        own = (encoded["features"][asking], encoded["present"][asking])
        other = (index.features[asked], index.present[asked])
        pair = {kind: own, index.kind: other}
        x = {
            f"{name}_{part}": values
            for name in pair
            for part, values in zip(("features", "present"), pair[name], strict=True)
        }
        match = self._part(_matching).predict(
            {name: values.astype("float32") for name, values in x.items()},
            batch_size=PAIRS_AT_ONCE,
            verbose=0,
        )
        return match[: len(match) - missing, 0]

    def _rerank_of(self, rerank, kind, index):
        there = index.features is not None and kind != index.kind
        count = is_whole(rerank) and rerank >= 0
        if rerank is not None and not count:
            raise ValueError(
                "`rerank` must be a number of candidates, 0 for none. Received: "
                f"rerank={rerank!r}"
            )
        if rerank is None:
            return self.rerank if there else 0
        if rerank and not there:
            raise ValueError(
                "Re-ranking needs an index of the other kind with features. Received: "
                f"rerank={rerank}, a query of kind {kind!r}, an index of kind "
                f"{index.kind!r}, features={index.features is not None}. Make the "
                "index with `features=True`, or search with `rerank=0`."
            )
        return rerank

    def _index(self, kind, items, names, features, batch_size):
        encoded = self._encoded(kind, items, batch_size, features)
        if names is None:
            count = len(encoded["embedding"])
            plain = isinstance(items, (list, tuple)) and all(
                isinstance(item, (str, os.PathLike)) for item in items
            )
            names = map(str, items if plain else range(count))
        encoded["model"] = self._weights_number(kind)
        return RetrievalIndex(kind, encoded.pop("embedding"), tuple(names), **encoded)

    def _weights_number(self, kind):
        """By which models are told apart; None for weights in other precisions.

        Of the last layer only: it is small, differs by chance, and is always trained.
        """
        layer = self.get_layer(f"{kind}_projection")
        if layer.quantization_mode or layer.variable_dtype != "float32":
            return None
        return zlib.crc32(keras.ops.convert_to_numpy(layer.kernel).tobytes())

    def _check_index(self, index):
        own, width = self._weights_number(index.kind), self.output[index.kind].shape[1]
        other = None not in (own, index.model) and own != index.model
        if other or width != index.embeddings.shape[1]:
            raise ValueError(
                f"The index must be of this model as it is, {width} numbers an item. "
                f"Received: {index.embeddings.shape[1]} numbers an item of another "
                "model, or of this one before it was trained further. Make it anew."
            )

    def _encoded(self, kind, items, batch_size, features=False):
        arrays = self._arrays(kind, items)
        if not len(arrays):
            raise ValueError(f"Expected at least one {kind}. Received: none.")
        outputs = {"embedding": f"{kind}_embedding"}
        if features:
            outputs |= {"features": f"{kind}_features", "present": f"{kind}_steps"}
        part = self._part(_tower, kind, **outputs)
        encoded = part.predict({kind: arrays}, batch_size=batch_size, verbose=0)
        if features:
            encoded["features"] = encoded["features"].astype("float16")
        return encoded

    def _part(self, make, *args, **kwargs):
        """A part of the model, made once as it is: what is compiled is kept."""
        modes = [layer.quantization_mode for layer in self._flatten_layers()]
        key = (make, *args, *kwargs, len(self.weights), *modes)
        parts = self.__dict__.setdefault("_parts", _Parts()).models
        if key not in parts:
            parts[key] = make(self, *args, **kwargs)
        return parts[key]

    def _arrays(self, kind, items):
        """Items as the model takes them."""
        shape = tuple(self.input[kind].shape[1:])
        if hasattr(items, "shape"):
            if tuple(items.shape[1:]) != shape:
                raise ValueError(
                    f"Expected {kind}s of shape (items, {', '.join(map(str, shape))}). "
                    f"Received: shape {tuple(items.shape)}."
                )
            return items
        if self.preprocessor is None:
            raise ValueError(
                f"Without a preprocessor, {kind}s must be an array (items, "
                f"{', '.join(map(str, shape))}). Received: {type(items).__name__}. "
                "Set `model.preprocessor`, see `RetrievalPreprocessor`."
            )
        return getattr(self.preprocessor, f"{kind}s")(items)


class _Parts:
    """Keeps models where Keras does not take them for layers."""

    def __init__(self):
        self.models = {}


def _tower(model, kind, **outputs):
    """One modality of a model, to the outputs of some of its layers."""
    found = {key: model.get_layer(name).output for key, name in outputs.items()}
    return keras.Model({kind: model.input[kind]}, found)


def _matching(model):
    """From encoded images and texts to their matching scores."""
    inputs, pair = {}, []
    for name in model.modalities:
        shape = model.get_layer(f"{name}_features").output.shape[1:]
        features = keras.Input(shape, name=f"{name}_features")
        present = keras.Input(shape[:1], name=f"{name}_present")
        inputs |= {features.name: features, present.name: present}
        mask = keras.ops.cast(present, "bool")
        pair.append(AttachMask(name=f"{name}_again")([features, mask]))
    pooled = model.get_layer("pool")(model._fusion()(pair))
    return keras.Model(inputs, model.get_layer("head")(pooled))


def _queries(query):
    """The kind of what is asked, a batch of it, and whether it was a single one."""
    if isinstance(query, str):
        return "text", [query], True
    if isinstance(query, os.PathLike):
        return "image", [query], True
    if isinstance(query, (list, tuple)) and query:
        of_text = all(isinstance(q, str) for q in query)
        return "text" if of_text else "image", query, False
    shape = getattr(query, "shape", ())
    if len(shape) == 3:
        return "image", query[None], True
    if len(shape) in (2, 4):
        return "text" if len(shape) == 2 else "image", query, False
    raise ValueError(
        "`query` must be a str, a path, a list of them, an image (height, width, "
        "channels), images, or token numbers (texts, length). Received: "
        f"{type(query).__name__} of shape {tuple(shape)}."
    )


def _require_index(index):
    if not isinstance(index, RetrievalIndex):
        raise TypeError(
            "Expected a RetrievalIndex: `model.index_images(…)`, "
            "`model.index_texts(…)` or `RetrievalIndex.load(path)`. "
            f"Received: {type(index).__name__}."
        )
