"""A progress bar on stderr, silent unless someone is watching."""

import contextlib
import os
import re
import sys

# What Keras draws grey is still to be done.
_TO_DO = re.compile("\33\\[37m(━*)")
_COLOUR = re.compile("\33\\[[0-9;]*m")


class _Plain:
    """A stream without colours, for those who set `NO_COLOR`."""

    def __init__(self, stream):
        self._stream = stream

    def __getattr__(self, name):
        return getattr(self._stream, name)

    def write(self, text):
        text = _TO_DO.sub(lambda bar: " " * len(bar[1]), text)
        return self._stream.write(_COLOUR.sub("", text))


def progress_bar(title):
    """Start a progress bar.

    Args:
        title: str. What is under way.

    Returns:
        Callable `(done, total)`; does nothing when stderr is no terminal.
    """
    if not sys.stderr.isatty():
        return lambda done, total: None
    state = {}

    def update(done, total):
        import keras

        # The bar of Keras writes to stdout, which is kept for results.
        stream = _Plain(sys.stderr) if os.environ.get("NO_COLOR") else sys.stderr
        with contextlib.redirect_stdout(stream):
            if "bar" not in state:
                print(title)
                state["bar"] = keras.utils.Progbar(total)
            if done < total or "done" not in state:
                state["bar"].update(done)
            if done >= total:
                state["done"] = True

    return update
