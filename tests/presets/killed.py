"""Run by test_processes.py: children that are killed, or load all at once.

    python killed.py save FOLDER OVERWRITTEN...   python killed.py load ADDRESS COUNT

It prints one line of JSON for each child. Forking spares the import of Keras; the
numpy backend has no threads that would not survive it.
"""

import json
import os
import shutil
import signal
import sys
from pathlib import Path

# Keras would import it late, for as long as all that is done here takes.
sys.modules["tensorflow"] = None

import keras  # noqa: E402
import numpy as np  # noqa: E402

from keras_mmfusion import presets  # noqa: E402
from keras_mmfusion.presets import _download, _save  # noqa: E402


def main(task, *args):
    # What Keras imports late, it imports before the children come.
    keras.saving.serialize_keras_object(model(0.0))
    if task == "save":
        for point in POINTS:
            child(point, save, point, Path(args[0]) / point)
    elif task == "download":
        for point, address in zip(("copy", "unpack"), args, strict=True):
            child(point, download, point, address)
    else:
        address, count = args
        pids = [fork(presets.verify, address) for _ in range(int(count))]
        for pid in pids:
            report("load", pid)


def child(name, function, *args):
    report(name, fork(function, *args))


def fork(function, *args):
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            function(*args)
            code = 0
        finally:
            os._exit(code)
    return pid


def report(name, pid):
    _, status = os.waitpid(pid, 0)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else None
    print(json.dumps({"name": name, "killed": killed, "code": code}), flush=True)


def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)


def after(function, count=1):
    """A function that is called so many times, and then kills."""
    left = [count]

    def killing(*args, **kwargs):
        left[0] -= 1
        result = function(*args, **kwargs)
        return die() if left[0] == 0 else result

    return killing


def model(value):
    new = keras.Sequential([keras.Input((4,), name="load"), keras.layers.Dense(1)])
    new.set_weights([np.full((4, 1), value), np.zeros(1)])
    return new


def weights_half_written():
    def half(model, path):
        save(model, path)
        path.write_bytes(path.read_bytes()[:500])
        die()

    save = _save._weights.save
    _save._weights.save = half


def before_metadata():
    _save._complete = die


def between_the_renames():
    Path.rename = after(Path.rename)


def before_the_old_one_goes():
    Path.rename = after(Path.rename, 2)


POINTS = {
    function.__name__: function
    for function in (
        weights_half_written,
        before_metadata,
        between_the_renames,
        before_the_old_one_goes,
    )
}


def save(point, folder):
    golden = {"load": np.ones((1, 4), "float32")}
    presets.save(model(1.0), folder / "tiny", golden=golden)
    POINTS[point]()
    presets.save(model(2.0), folder / "tiny", golden=golden, overwrite=True)


def download(point, address):
    if point == "copy":
        _download._CHUNK = 1000
        _download._check_size = after(_download._check_size, 4)
    else:
        shutil.copyfileobj = after(shutil.copyfileobj, 2)
    presets.info(address)


if __name__ == "__main__":
    main(*sys.argv[1:])
