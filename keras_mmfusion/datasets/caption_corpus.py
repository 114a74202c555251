"""Images with captions: what all readers of them return, and what they leave out."""

import re
import warnings
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from keras_mmfusion.datasets.ecg_record import RecordError

SPLITS = ("train", "val", "test")
# What Python puts where bytes are not the encoding that they should be.
REPLACED = "\ufffd"


@dataclass(frozen=True)
class CaptionCorpus:
    """Images and their captions.

    Attributes:
        name: str, such as `"Flickr30K"`.
        paths: tuple of Path, one per image.
        splits: tuple of str, `"train"`, `"val"` or `"test"`, one per image.
        captions: tuple of str.
        caption_image: int64 array `(captions,)`: the number of the image of each.
        skipped: dict, reason to the names of what was left out for it.

    Example:

    ```python
    from pathlib import Path
    import numpy as np
    from keras_mmfusion.datasets.caption_corpus import CaptionCorpus

    corpus = CaptionCorpus(
        "made up", (Path("a.png"), Path("b.png")), ("train", "test"),
        ("a cat", "a tabby", "a dog"), np.array([0, 0, 1]),
    )
    assert corpus.split("test").captions == ("a dog",)
    assert corpus.captions_of(0) == ["a cat", "a tabby"]
    ```
    """

    name: str
    paths: tuple
    splits: tuple
    captions: tuple
    caption_image: np.ndarray
    skipped: dict = field(default_factory=dict)

    def __len__(self):
        return len(self.paths)

    def split(self, name):
        """The images of one split with their captions, numbered anew.

        Raises:
            ValueError: There is no such split.
        """
        if name not in SPLITS:
            raise ValueError(f"Splits are {list(SPLITS)}. Received: {name!r}.")
        return self.take([i for i, split in enumerate(self.splits) if split == name])

    def take(self, images):
        """Some images with their captions, in the order given.

        Args:
            images: Sequence of int, each once, or of bool, whether to take each.

        Raises:
            ValueError: An image is taken twice, or is not there.
        """
        chosen = np.asarray(images, None if np.size(images) else int)
        mask = chosen.dtype == bool and chosen.shape == (len(self),)
        rows = chosen.ndim == 1 and chosen.dtype.kind in "iu"
        if not mask and not (rows and ((chosen >= 0) & (chosen < len(self))).all()):
            raise ValueError(
                f"`images` must be numbers from 0 to {len(self) - 1}, or a mask of "
                f"{len(self)} images. Received: {images!r:.60}"
            )
        images = np.arange(len(self))[chosen]
        numbers, counts = np.unique(images, return_counts=True)
        if (counts > 1).any():
            raise ValueError(
                "Images can be taken once each. Received: several times numbers "
                f"{numbers[counts > 1][:5].tolist()}. Leave the others out."
            )
        new = np.full(len(self), -1)
        new[images] = np.arange(len(images))
        kept = np.flatnonzero(new[self.caption_image] >= 0)
        return CaptionCorpus(
            self.name,
            tuple(self.paths[i] for i in images),
            tuple(self.splits[i] for i in images),
            tuple(self.captions[i] for i in kept),
            new[self.caption_image[kept]],
            self.skipped,
        )

    def captions_of(self, image):
        """The captions of one image, a list of str."""
        return [self.captions[i] for i in np.flatnonzero(self.caption_image == image)]


def collect(name, images, captions, folder):
    """A corpus of what belongs together; the rest is counted, and a warning says so.

    Args:
        name: str. Of the corpus.
        images: Iterable of `(key, split, paths)`, paths where the file may lie.
        captions: Iterable of `(key, text)`.
        folder: Path. Of the corpus, for messages.

    Raises:
        RecordError: Nothing is left.
    """
    skipped = defaultdict(list)
    texts, known, refused = defaultdict(list), {}, set()
    for key, split, paths in images:
        if key in known:
            skipped["images that are listed twice"].append(key)
        elif split not in SPLITS:
            skipped["images of an unknown split"].append(f"{key} ({split})")
            refused.add(key)
        else:
            known[key] = (split, paths)
    for key, text in captions:
        if key not in known:
            if key not in refused:
                skipped["captions without an image"].append(key)
        elif not isinstance(text, str):
            skipped["captions that are no text"].append(key)
        elif not _is_utf8(text):
            skipped["captions that are not UTF-8"].append(key)
        elif not text.strip():
            skipped["empty captions"].append(key)
        else:
            texts[key].append(" ".join(text.split()))
    kept = []
    for key, (split, paths) in known.items():
        path = next(filter(_is_file, paths), None)
        if path is None:
            skipped["images without a file"].append(key)
        elif key not in texts:
            skipped["images without a caption"].append(key)
        else:
            kept.append((path, split, texts[key]))
    if not kept:
        raise RecordError(
            f"{name} must hold images with captions. Received: none in {folder}; "
            f"{_told(skipped) or 'the lists are empty'}. Check the image folder."
        )
    if skipped:
        warnings.warn(f"{name}: left out {_told(skipped)}.", stacklevel=3)
    count = [len(own) for _, _, own in kept]
    return CaptionCorpus(
        name,
        tuple(path for path, _, _ in kept),
        tuple(split for _, split, _ in kept),
        tuple(text for _, _, own in kept for text in own),
        np.repeat(np.arange(len(kept)), count),
        dict(skipped),
    )


def _is_utf8(text):
    # JSON may hold halves of characters, which no encoding has.
    return REPLACED not in text and not re.search(r"[\ud800-\udfff]", text)


def _is_file(path):
    try:
        return path.is_file()
    except OSError:  # such as a name that is too long
        return False


def _told(skipped):
    """Such as `2 empty captions (a.png, b.png)`."""
    return "; ".join(
        f"{len(names)} {reason} ({', '.join(map(str, names[:3]))}"
        f"{', …' if len(names) > 3 else ''})"
        for reason, names in skipped.items()
    )


def read_text(path):
    """A text file that should be UTF-8; what is not shows as `REPLACED`."""
    try:
        return Path(path).read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise RecordError(
            f"Expected a text file at {path}. Received: {error.strerror}. Unpack the "
            "whole release."
        ) from error
