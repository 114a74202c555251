"""Killed processes, several at once, and one on another backend."""

import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import filelock
import keras
import numpy as np
import pytest
from backends import once
from preset_servers import HubServer, running

from keras_mmfusion import presets
from keras_mmfusion.presets import _cache

HERE = Path(__file__).parent
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def run(*command, backend="numpy", before=()):
    """The lines of JSON that a new process prints."""
    result = subprocess.run(
        [*map(str, before), sys.executable, *map(str, command)],
        env={
            **os.environ,
            "KERAS_BACKEND": backend,
            "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path]),
        },
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    lines = [line for line in result.stdout.splitlines() if line.startswith("{")]
    return [json.loads(line) for line in lines]


@needs_fork
@once
def test_kill_in_the_middle_of_save(tmp_path):
    """The folder is the old preset, the new one, or not there and says where it is."""
    children = run(HERE / "killed.py", "save", tmp_path)
    assert [child["killed"] for child in children] == [True] * 4
    for point, kept in {
        "weights_half_written": 1.0,
        "before_metadata": 1.0,
        "between_the_renames": None,
        "before_the_old_one_goes": 2.0,
    }.items():
        folder = tmp_path / point / "tiny"
        if kept is None:
            (old,) = folder.parent.glob(".tiny.*.old")
            with pytest.raises(
                ValueError, match=r"the former one is .*: rename it"
            ) as e:
                presets.load(folder)
            assert str(old) in str(e.value)
            assert presets.verify(old)["golden_difference"] == 0
        else:
            presets.verify(folder)
            model = presets.load(folder)
            assert model.get_weights()[0].max() == kept
        # The next one succeeds, and clears up what is old enough.
        for path in folder.parent.glob(".tiny.*"):
            os.utime(path, (0, 0))
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
        presets.save(model, folder, overwrite=True)
        assert [path.name for path in folder.parent.iterdir()] == ["tiny"]


@needs_fork
@once
def test_kill_in_the_middle_of_a_download(cache, server, saved_once, pack):
    """No lock stays, what came is used, and the cache is as it should be."""
    first, second = pack(saved_once), pack(saved_once) + b"\0"
    addresses = [server.add("a.zip", first), server.add("b.zip", second)]
    children = run(HERE / "killed.py", "download", *addresses)
    assert [child["killed"] for child in children] == [True, True]
    rests = sorted(path.suffix for path in cache.iterdir() if path.suffix != ".lock")
    assert rests == [".part", ".part", ".tmp"]
    for address in addresses:
        presets.verify(address)
    assert not [p for p in cache.iterdir() if p.suffix in (".part", ".tmp")]
    ranges = {path: asked for path, asked in server.log}
    assert ranges["/a.zip"] is not None and ranges["/b.zip"] == f"bytes={len(second)}-"


@once
@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_interrupted_download(cache, server, saved_once, pack):
    """Ctrl-C ends it at once; what came is kept, and no lock is."""
    data = pack(saved_once)
    address = server.add("tiny.zip", data)
    half, sent, ended = len(data) // 2, threading.Event(), threading.Event()
    send_file = server.send_file

    def slowly(handler, data, headers, body):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data[:half])
        sent.set()
        ended.wait()

    server.send_file = slowly
    # What runs in the background has Ctrl-C ignored, and its children likewise.
    code = "import sys; from signal import *; signal(SIGINT, default_int_handler)"
    code += "; from keras_mmfusion import presets; presets.info(sys.argv[1])"
    child = subprocess.Popen(
        [sys.executable, "-c", code, address],
        env={**os.environ, "KERAS_BACKEND": "numpy"},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert sent.wait(200)
        part = cache / (address.rpartition("=")[2] + ".part")
        while not part.exists() or part.stat().st_size < half:
            assert child.poll() is None
            time.sleep(0.01)
        child.send_signal(signal.SIGINT)
        _, said = child.communicate(timeout=200)
    finally:
        child.kill()
        ended.set()
    assert said.rstrip().endswith("KeyboardInterrupt")
    assert part.read_bytes() == data[:half]
    server.send_file = send_file
    assert presets.info(address)["name"] == "tiny"
    assert server.log[-1] == ("/tiny.zip", f"bytes={half}-")


def test_another_process_takes_long(cache, server, saved_once, pack, monkeypatch):
    """It is waited for, and the user told why nothing happens."""
    address = server.add("tiny.zip", pack(saved_once))
    monkeypatch.setattr(_cache, "PATIENCE", 0.01)
    cache.mkdir(parents=True)
    path = cache / (address.rpartition("=")[2] + ".lock")
    lock = filelock.FileLock(path, thread_local=False)
    lock.acquire()

    def release(message, *args, **kwargs):
        assert str(path) in str(message)
        lock.release()

    monkeypatch.setattr(warnings, "warn", release)
    assert presets.info(address)["name"] == "tiny"
    assert not lock.is_locked


@needs_fork
@once
def test_several_processes_at_once(cache, server, inputs, tmp_path):
    """All of them load it; one of them downloads it."""
    server.delay = 0.5
    model = keras.Sequential([keras.Input((6,), name="wave"), keras.layers.Dense(2)])
    golden = {"wave": inputs["wave"]}
    folder = presets.save(model, tmp_path / "plain", golden=golden)
    data = zipped(folder)
    children = run(HERE / "killed.py", "load", server.add("plain.zip", data), 4)
    assert [child["code"] for child in children] == [0] * 4
    assert server.log == [("/plain.zip", None)]


@needs_fork
@once
def test_several_processes_at_once_from_the_hub(cache, inputs, tmp_path, monkeypatch):
    pytest.importorskip("huggingface_hub")
    model = keras.Sequential([keras.Input((6,), name="wave"), keras.layers.Dense(2)])
    golden = {"wave": inputs["wave"]}
    folder = presets.save(model, tmp_path / "plain", golden=golden)
    with running(HubServer()) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")
        hub.commit({path.name: path.read_bytes() for path in folder.iterdir()})
        hub.delay = 0.2
        children = run(HERE / "killed.py", "load", "hf://org/tiny@main", 4)
        assert [child["code"] for child in children] == [0] * 4
    assert (cache / "hub").is_dir()


@pytest.fixture
def small_disk(tmp_path):
    """A folder, and a command before which makes it a disk of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    script = 'mount -t tmpfs -o size=1m none "$1" && shift && exec "$@"'
    before = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-ec", script]
    before += ["sh", str(folder)]
    try:
        subprocess.run([*before, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs the right to mount a small disk (unshare)")
    return folder, before


@once
def test_full_disk(cache, server, tmp_path, small_disk):
    """A true one: what was there stays, nothing is left of the new, and it says so."""
    disk, before = small_disk
    wide = keras.Sequential([keras.Input((256,)), keras.layers.Dense(1024)])
    wide = presets.save(wide, tmp_path / "wide")
    zeros = {"zeros.txt": bytes(900_000), "noise.txt": os.urandom(100_000)}
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    address = server.add(
        "plain.zip", zipped(presets.save(model, tmp_path / "plain", files=zeros))
    )
    lines = run(HERE / "full_disk.py", disk, wide, address, before=before)
    said = {line["name"]: line["said"] for line in lines}
    left = {line["name"]: line["left"] for line in lines}
    assert re.search(r"tiny must be a folder .*No space left.*Free some", said["save"])
    own = ["config.json", "metadata.json", "model.weights.h5"]
    assert left["save"] == [f"tiny/{name}" for name in own]
    assert re.search(r"weights of .*bytes free in .*set TMPDIR", said["load"])
    assert left["load"] == []
    for free in (600_000, 50_000):
        message = r"must fit on the disk.*No space left.*set KERAS_HOME"
        assert re.search(message, said[f"download to {free}"])
        left_there = left[f"download to {free}"]
        assert [name for name in left_there if not name.endswith(".lock")] == []
    assert [path for path, _ in server.log] == ["/plain.zip"] * 2


def zipped(folder):
    archive = shutil.make_archive(str(folder), "zip", folder.parent, folder.name)
    return Path(archive).read_bytes()


def other_backends():
    here = keras.backend.backend()
    names = ("tensorflow", "jax", "torch")
    later = names[names.index(here) + 1 :] + names[: names.index(here)]
    return [name for name in later if importlib.util.find_spec(name)]


def test_the_same_numbers_on_another_backend(tmp_path):
    """`save` here, `load` there: our model, our preprocessor and a new head."""
    if not other_backends():
        pytest.skip("needs a second backend")
    from keras_mmfusion.models import FusionClassifier
    from keras_mmfusion.preprocessing import DigitPreprocessor

    rng = np.random.default_rng(0)
    shapes = {"wave": (6, 3), "image": (5, 2)}
    model = FusionClassifier(
        inputs=shapes,
        encoders={"wave": keras.layers.LSTM(4, return_sequences=True), "image": None},
        fusion="atd",
        num_classes=3,
        dim=8,
    )
    x = {name: rng.normal(size=(4, *s)).astype("float32") for name, s in shapes.items()}
    x["image"][1] = np.nan
    model = model.with_num_classes(2)
    model.compile("adam", "sparse_categorical_crossentropy")
    preprocessor = DigitPreprocessor(samples=4200)
    folder = presets.save(
        model, tmp_path / "fusion", preprocessor=preprocessor, golden=x
    )
    np.savez(tmp_path / "x.npz", **x)
    code = (
        "import json, sys, keras, numpy as np\n"
        "from keras_mmfusion import presets\n"
        "x = dict(np.load(sys.argv[2]))\n"
        "model = presets.load(sys.argv[1])\n"
        "y = model.predict(x, verbose=0)\n"
        "report = presets.verify(sys.argv[1])\n"
        "print(json.dumps({'backend': keras.backend.backend(), 'y': y.tolist(),"
        " 'difference': report['golden_difference'],"
        " 'preprocessor': model.preprocessor.get_config()}))"
    )
    other = other_backends()[0]
    (there,) = run("-c", code, folder, tmp_path / "x.npz", backend=other)
    assert there["backend"] == other != keras.backend.backend()
    assert there["difference"] < 1e-5
    assert there["preprocessor"] == preprocessor.get_config()
    np.testing.assert_allclose(there["y"], model.predict(x, verbose=0), atol=1e-5)
