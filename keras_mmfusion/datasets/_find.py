"""Where a data set may lie: an argument, `KERAS_MMFUSION_DATA`, the cache."""

import os
import warnings
from pathlib import Path

from keras_mmfusion._home import keras_home
from keras_mmfusion.datasets.ecg_record import RecordError


def find_folder(name, holds, data_dir, dataset, advice):
    """The folder of a data set.

    Args:
        name: str. What the folder is called, below any of the three places.
        holds: Function of a folder: whether the data set is in it.
        data_dir: The folder, or the one above, where it is looked for first; or None.
        dataset: str. Name of the data set, for the message.
        advice: str. How to get it, likewise.

    Raises:
        RecordError: No such folder; the message lists where it looked.
    """
    roots = [data_dir, os.environ.get("KERAS_MMFUSION_DATA"), keras_home() / "datasets"]
    looked = [
        folder for root in roots if root for folder in (Path(root), Path(root) / name)
    ]
    for number, folder in enumerate(looked):
        if holds(folder):
            if data_dir and number > 1:
                # Other data than those that were named, perhaps.
                warnings.warn(
                    f"{dataset} was not found in {data_dir}, but in {folder}, which "
                    "is taken. Name the folder above it, or none.",
                    stacklevel=3,
                )
            return folder
    raise RecordError(
        f"{dataset} was not found. Looked in: "
        f"{', '.join(str(folder) for folder in looked)}. {advice} and set "
        f"KERAS_MMFUSION_DATA to the folder above {name}."
    )
