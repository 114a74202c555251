"""Caption corpora in the JSON layout of Karpathy's splits: Flickr30K, and emoji."""

import json
from pathlib import Path

from keras_mmfusion.datasets._find import find_folder
from keras_mmfusion.datasets.caption_corpus import collect, read_text
from keras_mmfusion.datasets.ecg_record import RecordError

LANGUAGES = ("en", "zh")
# Images of Karpathy's COCO that may be trained on.
TRAINING = ("train", "restval")


def load_flickr30k(data_dir=None):
    """Read Flickr30K: 31,014 images with five captions each, in Karpathy's split.

    Args:
        data_dir: Folder that holds `dataset_flickr30k.json` and the images in
            `flickr30k-images`, or that holds a folder `flickr30k` which does.
            Defaults to `None`: `KERAS_MMFUSION_DATA`, then the cache.

    Returns:
        `CaptionCorpus`.

    Raises:
        RecordError: The corpus is not there, or cannot be read.

    Example:

    ```python
    from keras_mmfusion.datasets.karpathy import load_flickr30k

    test = load_flickr30k().split("test")
    len(test), len(test.captions)  # (1000, 5000)
    ```

    Reference:
        Young et al., TACL 2014; split of Karpathy and Fei-Fei, arXiv:1412.2306.
    """
    folder = find_folder(
        "flickr30k",
        lambda folder: (folder / "dataset_flickr30k.json").is_file(),
        data_dir,
        "Flickr30K",
        "Ask for the images at https://shannon.cs.illinois.edu/DenotationGraph/ (for "
        "research), unpack them as flickr30k/flickr30k-images, put Karpathy's "
        "dataset_flickr30k.json (caption_datasets.zip) beside that folder",
    )
    return read_karpathy(
        folder / "dataset_flickr30k.json",
        [folder / "flickr30k-images", folder / "images", folder],
        "Flickr30K",
    )


def load_emoji(language="en", data_dir=None):
    """Read 1,650 emoji with their names and keywords, in the layout of Flickr30K.

    Args:
        language: `"en"` or `"zh"`. Defaults to `"en"`.
        data_dir: Folder that holds `dataset_emoji_en.json` and the folder `images`,
            or that holds a folder `emoji` which does. Defaults to `None`:
            `KERAS_MMFUSION_DATA`, then the cache.

    Returns:
        `CaptionCorpus`; the first caption of an image is its name, the second, if
        there is one, a list of keywords.

    Raises:
        RecordError: The set is not there, or cannot be read.
        ValueError: Another language.

    Example:

    ```python
    from keras_mmfusion.datasets.karpathy import load_emoji

    emoji = load_emoji()
    emoji.captions_of(0)  # ["hash sign", "hash, hashtag, lb, number, pound, sign"]
    ```

    Reference:
        Noto Emoji (Apache 2.0), Unicode CLDR annotations (Unicode License v3).
    """
    if language not in LANGUAGES:
        raise ValueError(
            f"`language` must be one of {list(LANGUAGES)}. Received: {language!r}"
        )
    name = f"dataset_emoji_{language}.json"
    folder = find_folder(
        "emoji",
        lambda folder: (folder / name).is_file(),
        data_dir,
        "The emoji set",
        f"Lay pictures of Noto Emoji in emoji/images and CLDR annotations in "
        f"emoji/{name}, in the layout of Karpathy's JSON files,",
    )
    return read_karpathy(folder / name, [folder / "images"], f"emoji ({language})")


def read_karpathy(path, image_folders, name=None):
    """Read a corpus whose images and captions are in one JSON file.

    Args:
        path: Path of the JSON file: `{"images": [{"filename": str, "split": str,
            "sentences": [{"raw": str}, …]}, …]}`, in UTF-8. The split `"restval"`
            counts as `"train"`; a sentence without `"raw"` may have `"tokens"`.
        image_folders: Folders to look for images in, the first that has it.
        name: str. Defaults to `None`: the name of the file.

    Returns:
        `CaptionCorpus`. Images without a file or caption, double images, empty or
        broken captions are left out, with a warning that counts them, see `skipped`.

    Raises:
        RecordError: The file is no such JSON, or nothing is left of it.

    Example:

    ```python
    from pathlib import Path
    import json
    from keras_mmfusion.datasets.karpathy import read_karpathy

    from PIL import Image

    Image.new("RGB", (8, 8)).save("a.png")
    image = {"filename": "a.png", "split": "test", "sentences": [{"raw": "black"}]}
    Path("set.json").write_text(json.dumps({"images": [image]}))
    assert read_karpathy("set.json", ["."]).captions == ("black",)
    ```
    """
    path, folders = Path(path), [Path(folder) for folder in image_folders]
    images, captions, seen = [], [], set()
    try:
        for entry in json.loads(read_text(path))["images"]:
            key = entry["filename"]
            split = "train" if entry["split"] in TRAINING else entry["split"]
            # COCO has its images in several folders.
            below = entry.get("filepath", "")
            places = [folder / below / key for folder in folders]
            images.append((key, split, places))
            # Of an image that is there twice, the other may be of another split.
            if key not in seen:
                captions += [(key, _text(said)) for said in entry["sentences"]]
            seen.add(key)
    except (
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        RecursionError,
    ) as error:
        raise RecordError(
            f"{path} must be a JSON file of images with filename, split and "
            f"sentences. Received: {type(error).__name__}: {error}. Get it again."
        ) from error
    return collect(name or path.stem, images, captions, path)


def _text(sentence):
    raw = sentence.get("raw")
    return " ".join(sentence["tokens"]) if raw is None else raw
