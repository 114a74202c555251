"""Choose and set up a Keras backend, before Keras is imported."""

import importlib.util
import json
import os
import sys

from keras_mmfusion._home import keras_home

# The lightest first.
BACKENDS = {"jax": "jax", "tensorflow": "tensorflow", "torch": "torch"}
# Others that Keras knows: its business.
_FURTHER = ("numpy", "openvino")


def choose_backend(able=tuple(BACKENDS)):
    """Set `KERAS_BACKEND` when neither it nor Keras' own file names a usable one.

    Keras writes `tensorflow` into `~/.keras/keras.json` when it is imported
    first, installed or not; such an entry is passed over.

    Args:
        able: Sequence of str. The backends that can do the work, the best first.
            Defaults to all of them, the lightest first.

    Returns:
        str. A notice for the user, or `None` when nothing was changed.

    Raises:
        ImportError: No backend is installed, or not the one asked for, or there is
            none of this name.
    """
    if "keras" in sys.modules:
        return None
    wanted = os.environ.get("KERAS_BACKEND")
    if wanted:
        if wanted not in (*BACKENDS, *_FURTHER):
            raise ImportError(
                f"KERAS_BACKEND must be one of {', '.join(BACKENDS)}. Received: "
                f"KERAS_BACKEND={wanted!r}."
            )
        if wanted in BACKENDS and not _installed(wanted):
            raise ImportError(
                f"KERAS_BACKEND asks for {wanted}, which is not installed: "
                f"pip install 'keras_mmfusion[{wanted},ecg]', or set another one."
            )
        return None
    configured = _configured()
    usable = configured in able and _installed(configured)
    if usable or configured in _FURTHER:
        return None
    for name in able:
        if _installed(name):
            os.environ["KERAS_BACKEND"] = name
            return f"using the {name} backend (set KERAS_BACKEND to choose)"
    first, *others = able
    others = ", ".join(f"[{name},ecg]" for name in others)
    raise ImportError(
        "Keras needs a backend and none that can do this is installed: "
        f"pip install 'keras_mmfusion[{first},ecg]'"
        + (f" (or {others})." if others else ".")
    )


def keep_compiled():
    """Let JAX keep on disk what it compiles: each command is a fresh process.

    Drawing initial weights and labelling take seconds to compile and little to run.
    Settings of the user's own are left as they are.
    """
    if "keras" in sys.modules:
        return
    folder = keras_home() / "keras_mmfusion" / "compiled"
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(folder))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")


def _installed(name):
    return importlib.util.find_spec(BACKENDS[name]) is not None


def _configured():
    try:
        text = (keras_home() / "keras.json").read_text(encoding="utf-8")
        return json.loads(text).get("backend")
    except (OSError, ValueError, AttributeError):
        return None
