"""Several virtual devices and processes give the numbers of one device."""

import csv
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from backends import only_on
from ett_files import write_table

SCRIPT = Path(__file__).with_name("on_devices.py")
RECIPE = SCRIPT.parents[2] / "recipes" / "ett" / "train.py"
# With dropout; the last batch of an epoch is one of 51 windows to validate on.
ARGUMENTS = ["--features", "S", "--models", "patches", "--seeds", "0", "--quiet"]
ARGUMENTS += ["--lookback", "48", "--batch-size", "8", "--learning-rate", "0.01"]
ARGUMENTS += ["--steps-per-epoch", "3", "--epochs", "3", "--csv"]
LOG = Path("made", "S", "patches", "seed0", "train_log.csv")


def ended(folder, *commands):
    """Run all of them at once."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    processes = [
        subprocess.Popen(
            [sys.executable, *map(str, command)],
            cwd=folder,
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for command in commands
    ]
    try:
        for process in processes:
            _, errors = process.communicate(timeout=600)
            assert process.returncode == 0, errors[-3000:]
    finally:
        for process in processes:
            process.kill()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What `on_devices.py` leaves behind."""
    folder = tmp_path_factory.mktemp("devices")
    table = write_table(folder / "made.csv")
    ended(folder, [SCRIPT, "found.npz", RECIPE, *ARGUMENTS, table])
    return folder


@pytest.fixture(scope="module")
def found(folder):
    found = {}
    for key, value in np.load(folder / "found.npz").items():
        what, name = key.split("/", 1)
        found.setdefault(what, {})[name] = value
    return found


@only_on("tensorflow")
def test_four_devices_learn_what_one_does(found):
    one, four = found["1"], found["4"]
    assert four.keys() == one.keys() == {"loss", "accuracy", "predictions"}
    # It learns something, so that there is something to differ in.
    assert four["loss"].shape == (3,) and four["loss"][-1] < 0.99 * four["loss"][0]
    for name, value in one.items():
        np.testing.assert_allclose(four[name], value, atol=1e-4, err_msg=name)


def read(log):
    with open(log, newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name]) for row in rows] for name in rows[0]}


def assert_same_curves(found, expected):
    assert found.keys() == expected.keys() == {"epoch", "loss", "val_loss"}
    assert expected["epoch"] == [0, 1, 2] and expected["loss"][2] < expected["loss"][0]
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=1e-4, err_msg=name)


@only_on("jax")
def test_a_recipe_on_four_devices(folder):
    """What dropout draws is the same, too."""
    assert_same_curves(read(folder / "several" / LOG), read(folder / "one" / LOG))


@only_on("jax")
def test_a_recipe_in_two_processes(folder):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [RECIPE, *ARGUMENTS, "made.csv", "--output", "processes"]
    command += ["--coordinator", f"127.0.0.1:{port}", "--processes", 2, "--process"]
    ended(folder, [*command, 0], [*command, 1])
    assert_same_curves(read(folder / "processes" / LOG), read(folder / "one" / LOG))
    assert (folder / "processes" / LOG).with_name("run.json").exists()


@only_on("jax")
def test_a_retriever_cut_into_parts(found):
    whole, found = found["whole"], found["cut"]
    assert len(whole["loss"]) == 3 and whole["loss"][2] < whole["loss"][0]
    names = [name for name in found if "parts/" not in name]
    assert len(names) == 4
    for name in names:
        np.testing.assert_allclose(found[name], whole[name], atol=1e-5, err_msg=name)
    parts = {k.removeprefix("parts/"): v for k, v in found.items() if "parts/" in k}
    cut = {path for path, count in parts.items() if count == 2}
    assert {int(parts[path]) for path in set(parts) - cut} == {1}
    tower, attention = "image_encoder/vit/block_0", "fusion/displacement_0_1"
    assert cut >= {
        f"{tower}/attention/query/kernel",
        f"{tower}/ff_in/kernel",
        f"{tower}/ff_out/kernel",
        "text_encoder/words/embeddings",
        f"{attention}/value/bias",
        f"{attention}/output/kernel",
        "fusion/fusion/kernel",
        # What the optimizer keeps of them.
        "adam/text_encoder_words_embeddings_velocity",
    }
    assert not cut & {f"{tower}/norm/gamma", f"{attention}/output/bias", "head/kernel"}
