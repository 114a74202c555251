"""Change what a preset says of itself, not what it computes."""

import json

from keras_mmfusion.presets import _json, _metadata
from keras_mmfusion.presets._folder import METADATA, describe


def revise(folder, changes, files):
    """Write new fields of the metadata and new files; weights and config stay.

    Args:
        folder: `Path` of the preset.
        changes: dict of fields of `metadata.json` to replace.
        files: dict of bytes by file name, such as the card.
    """
    metadata = {**json.loads((folder / METADATA).read_bytes()), **changes}
    order = [key for key in _metadata.KEYS if key in metadata]
    metadata = {key: metadata[key] for key in order}
    # Whatever is wrong with them shows before anything is written.
    _metadata.parse(_json.dump(metadata, METADATA), METADATA)
    for name, content in files.items():
        (folder / name).write_bytes(content)
        metadata["files"][name] = describe(folder / name)
    (folder / METADATA).write_bytes(_json.dump(metadata, METADATA))
