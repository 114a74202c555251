"""Where the emoji with captions are, and what to skip where they are not."""

import os
from pathlib import Path

import pytest

EMOJI = Path(os.environ.get("KERAS_MMFUSION_DATA", ".")) / "emoji"
needs_emoji = pytest.mark.skipif(
    not EMOJI.is_dir(), reason="set KERAS_MMFUSION_DATA to the folder above emoji"
)
