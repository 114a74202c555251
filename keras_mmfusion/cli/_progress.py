"""A progress bar on stderr, silent unless someone is watching."""

import contextlib
import sys


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
        with contextlib.redirect_stdout(sys.stderr):
            if "bar" not in state:
                print(title)
                state["bar"] = keras.utils.Progbar(total)
            if done < total or "done" not in state:
                state["bar"].update(done)
            if done >= total:
                state["done"] = True

    return update
