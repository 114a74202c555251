"""Where Keras keeps files of its own, and this package beside them."""

import os
import tempfile
from pathlib import Path


def keras_home():
    """`KERAS_HOME`, or `~/.keras`; it may not exist yet."""
    home = os.path.expanduser(os.environ.get("KERAS_HOME") or "~/.keras")
    if home.startswith("~"):
        # A user without a home, as in some containers; Keras does the same.
        home = os.path.join(tempfile.gettempdir(), ".keras")
    return Path(home).absolute()
