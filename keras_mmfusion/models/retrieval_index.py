"""What was encoded, to be searched."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class RetrievalIndex:
    """Images or texts as `FusionRetriever` encodes them.

    Attributes:
        kind: `"image"` or `"text"`: what is in it, and is found.
        embeddings: float32 array `(items, embedding_dim)`, unit vectors.
        names: tuple of str, what each item is called; numbers unless given.
        features: array `(items, time, dim)` of encoded items, from which the first
            candidates of a search are ranked again, or None.
        present: bool array `(items, time)`: which of these steps are valid, or None.
        model: int, by which a search tells that the index is of another model, or None.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.models import RetrievalIndex

    # As `model.index_images(images, names=[...])` returns it.
    vectors = np.eye(2, dtype="float32")
    RetrievalIndex("image", vectors, ("a.png", "b.png")).save("index.npz")
    assert RetrievalIndex.load("index.npz").names == ("a.png", "b.png")
    ```
    """

    kind: str
    embeddings: np.ndarray
    names: tuple
    features: np.ndarray | None = None
    present: np.ndarray | None = None
    model: int | None = None

    def __post_init__(self):
        sizes = {len(self.names), len(self.embeddings)}
        sizes |= {len(x) for x in (self.features, self.present) if x is not None}
        if self.kind not in ("image", "text") or len(sizes) != 1:
            raise ValueError(
                "An index has a kind, 'image' or 'text', and as many names as items. "
                f"Received: kind={self.kind!r}, {len(self.names)} names, "
                f"{len(self.embeddings)} embeddings."
            )

    def __len__(self):
        return len(self.names)

    def save(self, path):
        """Write a `.npz` file; one that is there is replaced once all is written."""
        arrays = {"kind": np.array(self.kind), "embeddings": self.embeddings}
        arrays["names"] = np.array(self.names, dtype=str)
        if self.features is not None:
            arrays |= {"features": self.features, "present": self.present}
        if self.model is not None:
            arrays["model"] = np.array(self.model)
        path = Path(path)
        part = path.with_name(f".{path.name}.part")
        with part.open("wb") as file:
            np.savez(file, **arrays)
        part.replace(path)

    @classmethod
    def load(cls, path):
        """The index that `save` wrote.

        Raises:
            ValueError: The file holds something else.
        """
        try:
            with np.load(path) as file:
                arrays = dict(file)
            return cls(
                kind=str(arrays.pop("kind")),
                embeddings=arrays.pop("embeddings"),
                names=tuple(arrays.pop("names").tolist()),
                **arrays,
            )
        except OSError:
            raise
        except Exception as error:  # of all kinds, from numpy, zipfile and zlib
            raise ValueError(
                f"{path} must be an index that `RetrievalIndex.save` has written. "
                f"Received: a file without what belongs there ({error})."
            ) from error


@dataclass(frozen=True)
class Found:
    """The answers to one query, best first.

    Attributes:
        names: list of str.
        items: int array `(k,)`, rows of the index.
        similarities: float32 array `(k,)`, cosines. After re-ranking they need not
            fall.
    """

    names: list
    items: np.ndarray
    similarities: np.ndarray


def nearest(queries, embeddings, k):
    """Rows of the `k` most similar embeddings to each query, best first; and cosines.

    Among equals, the first one comes first.
    """
    cosines = queries @ embeddings.T
    k = min(k, len(embeddings))
    # NaN, of a model that has diverged, comes last.
    ranked = np.where(np.isnan(cosines), -np.inf, cosines)
    chosen = np.ones(ranked.shape, bool)
    if k < len(embeddings):
        last = -np.partition(-ranked, k - 1, axis=1)[:, k - 1 : k]
        better, equal = ranked > last, ranked == last
        room = k - better.sum(axis=1, keepdims=True)
        chosen = better | (equal & (equal.cumsum(axis=1) <= room))
    items = np.nonzero(chosen)[1].reshape(len(queries), k)
    order = np.take_along_axis(-ranked, items, axis=1).argsort(axis=1, kind="stable")
    items = np.take_along_axis(items, order, axis=1)
    return items, np.take_along_axis(cosines, items, axis=1)
