"""COCO-CN: images of MS-COCO with captions written in Chinese, as released.

Li et al., "COCO-CN for cross-lingual image tagging, captioning and retrieval",
IEEE Transactions on Multimedia 21(9), 2019; release 201805, version 1.1.
"""

from pathlib import Path

from keras_mmfusion.datasets._find import find_folder
from keras_mmfusion.datasets.caption_corpus import SPLITS, collect, read_text
from keras_mmfusion.datasets.ecg_record import RecordError

FOLDER = "coco-cn-version1805v1.1"
CAPTIONS = "imageid.human-written-caption.txt"


def load_coco_cn(data_dir=None, image_dir=None):
    """Read COCO-CN: 20,341 images with 22,218 captions written by people.

    Args:
        data_dir: Folder that holds `imageid.human-written-caption.txt`, or that holds
            a folder `coco-cn-version1805v1.1` which does. Defaults to `None`:
            `KERAS_MMFUSION_DATA`, then the cache.
        image_dir: Folder with `train2014` and `val2014` of MS-COCO. Defaults to
            `None`: that of the captions, or the one above.

    Returns:
        `CaptionCorpus`, with what was left out in `skipped`.

    Raises:
        RecordError: The corpus is not there, or a line cannot be read.

    Example:

    ```python
    from keras_mmfusion.datasets.coco_cn import load_coco_cn

    corpus = load_coco_cn()
    len(corpus.split("test"))  # 1000
    ```
    """
    folder = find_folder(
        FOLDER,
        lambda folder: (folder / CAPTIONS).is_file(),
        data_dir,
        "COCO-CN",
        "Ask for it at https://github.com/li-xirong/coco-cn, unpack it as "
        f"{FOLDER}, put train2014 and val2014 of https://cocodataset.org beside it,",
    )
    above = [folder, folder.parent] if image_dir is None else [Path(image_dir)]
    images = []
    for split in SPLITS:
        for key in read_text(folder / f"coco-cn_{split}.txt").split():
            part = "val2014" if "_val2014_" in key else "train2014"
            places = [place / part / f"{key}.jpg" for place in above]
            images.append((key, split, places))
    captions = []
    # Not splitlines: captions may hold other signs that it takes for ends of lines.
    for number, line in enumerate(read_text(folder / CAPTIONS).split("\n"), 1):
        # Copies have a blank for the tab, and `#zhm#0` for `#0`.
        name, text = (*line.split(None, 1), "", "")[:2]
        key, mark, _ = name.partition("#")
        if name and not mark:
            raise RecordError(
                f"Expected image#number, a tab and a caption in line {number} of "
                f"{folder / CAPTIONS}. Received: {line[:60]!r}. Get the file again."
            )
        if name:
            captions.append((key, text))
    return collect("COCO-CN", images, captions, folder)
