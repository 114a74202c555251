"""Where a data set may lie: an argument, `KERAS_MMFUSION_DATA`, the cache."""

import os
from pathlib import Path

from keras_mmfusion._home import keras_home
from keras_mmfusion.datasets.ecg_record import RecordError


def find_folder(name, holds, data_dir, dataset, advice):
    """The folder of a data set.

    Args:
        name: str. What the folder is called, below any of the three places.
        holds: Function of a folder: whether the data set is in it.
        data_dir: The folder, or the one above; or None: it may be in the other two.
        dataset: str. Name of the data set, for the message.
        advice: str. How to get it, likewise.

    Raises:
        RecordError: No such folder; the message lists where it looked.
    """
    roots = [os.environ.get("KERAS_MMFUSION_DATA"), keras_home() / "datasets"]
    if data_dir:
        # Not the data of another place, where the name of this one is wrong.
        roots = [data_dir]
    looked = [
        folder for root in roots if root for folder in (Path(root), Path(root) / name)
    ]
    for folder in looked:
        if holds(folder):
            return folder
    raise RecordError(
        f"{dataset} was not found. Looked in: "
        f"{', '.join(str(folder) for folder in looked)}. {advice} and "
        f"{'name' if data_dir else 'set KERAS_MMFUSION_DATA to'} the folder above "
        f"{name}."
    )
