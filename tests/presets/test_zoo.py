"""Every shipped preset is complete, and what it says it is."""

import pytest

from keras_mmfusion import presets
from keras_mmfusion.presets import _metadata, _registry

ROOT = _registry.shipped_directory()
FOLDERS = sorted(path.parent for path in ROOT.glob("*/metadata.json"))


def test_the_zoo_is_found():
    assert ROOT.name == "zoo"
    assert (ROOT / "README.md").is_file()


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_shipped_preset(folder):
    report = presets.verify(folder)
    metadata = presets.info(folder)
    assert metadata["name"] == folder.name
    assert [key for key in _metadata.TO_SHIP if key not in metadata] == []
    assert "README.md" in metadata["files"]
    if metadata.trained:
        assert report["golden_difference"] is not None
        assert metadata.metrics()
