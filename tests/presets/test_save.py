"""A preset is written whole, or not at all."""

import json
import shutil

import keras
import numpy as np
import pytest

from keras_mmfusion import presets
from keras_mmfusion.models import FUSIONS, FusionClassifier
from keras_mmfusion.presets import _save


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_metadata_is_filled_in(saved, model):
    metadata = presets.info(saved)
    assert metadata["schema_version"] == 1
    assert (metadata["name"], metadata["version"]) == ("tiny", "1.2")
    assert metadata["architecture"] == "keras_mmfusion>TinyFusion"
    assert metadata["parameters"] == model.count_params()
    assert metadata["inputs"]["wave"] == {
        "shape": [6],
        "dtype": "float32",
        "units": "mV",
        "sampling_rate": 360,
    }
    assert metadata["versions"]["backend"] == keras.backend.backend()
    assert metadata["versions"]["keras"] == keras.__version__
    assert set(metadata["files"]) == set(contents(saved)) - {"metadata.json"}
    assert metadata["metrics"]["accuracy"]["mean"] == 0.75
    assert (saved / "README.md").read_text() == "# Tiny\n"
    assert (saved / "metadata.json").read_text().startswith("{\n  ")
    assert (saved / "config.json").read_text().startswith('{"module":')


def test_metadata_of_a_preset_may_be_given_again(saved, tmp_path):
    again = presets.save(
        presets.load(saved), tmp_path / "again", metadata=presets.info(saved)
    )
    metadata = presets.info(again)
    assert metadata["name"] == "tiny"
    assert "golden.npz" not in metadata["files"]


def test_interrupted_save_leaves_nothing(model, tmp_path, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(_save._weights, "save", interrupt)
    with pytest.raises(KeyboardInterrupt):
        presets.save(model, tmp_path / "new")
    assert not any(tmp_path.iterdir())


def test_existing_folder_is_refused(model, saved):
    before = contents(saved)
    with pytest.raises(ValueError, match=r"must not exist yet.*overwrite=True"):
        presets.save(model, saved)
    assert contents(saved) == before


def test_overwrite(model, saved):
    presets.save(model, saved, overwrite=True)
    assert set(contents(saved)) == {
        "config.json",
        "metadata.json",
        "model.weights.h5",
    }
    assert [path.name for path in saved.parent.iterdir()] == ["tiny"]
    presets.verify(saved)


@pytest.mark.parametrize("when", ["writing", "renaming"])
def test_failed_overwrite_leaves_the_old_one(model, saved, monkeypatch, when):
    before = contents(saved)

    def fail(*args):
        raise OSError("disk full")

    if when == "writing":
        monkeypatch.setattr(_save._weights, "save", fail)
    else:
        path_type = type(saved)
        rename = path_type.rename
        monkeypatch.setattr(
            path_type,
            "rename",
            lambda self, to: (fail if self.suffix == ".new" else rename)(self, to),
        )
    with pytest.raises(ValueError, match=r"Received: disk full.*what was there stays"):
        presets.save(model, saved, overwrite=True)
    monkeypatch.undo()
    assert contents(saved) == before
    assert [path.name for path in saved.parent.iterdir()] == ["tiny"]


def test_no_room_for_temporary_files(model, saved, tmp_path, monkeypatch):
    """Found out beforehand: HDF5 ends the process where a disk gets full."""
    usage = shutil._ntuple_diskusage(10**9, 10**9 - 10, 10)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    message = r"weights of tiny, about .*Received: 10 bytes free in .*set TMPDIR"
    with pytest.raises(ValueError, match=message):
        presets.save(model, tmp_path / "x")
    with pytest.raises(ValueError, match=message):
        presets.load(saved)


def test_parent_is_a_file(model, tmp_path):
    (tmp_path / "runs").write_text("")
    with pytest.raises(ValueError, match=r"runs/x must be a folder.*another directory"):
        presets.save(model, tmp_path / "runs" / "x")


def test_only_a_preset_is_overwritten(model, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match="Only a preset may be replaced"):
        presets.save(model, tmp_path, overwrite=True)
    assert (tmp_path / "thesis.tex").exists()


def test_without_weights(model, tmp_path):
    folder = presets.save(
        model,
        tmp_path / "bare",
        weights=False,
        metadata={"recipe": {"command": "python recipes/bare/train.py"}},
    )
    assert "no trained weights" in str(presets.info(folder))
    with pytest.raises(ValueError, match=r"no trained weights.*recipes/bare/train"):
        presets.load(folder)
    assert presets.load(folder, load_weights=False).count_params()
    assert presets.verify(folder)["golden_difference"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metadata": {"surprise": 1}}, r"unknown=\['surprise'\]"),
        ({"metadata": {"inputs": {"wav": {}}}}, r"name inputs.*\['wav'\]"),
        ({"metadata": {"metrics": {"loss": float("nan")}}}, "JSON.* None for what"),
        ({"metadata": {"task": "\ud800"}}, "written as JSON"),
        ({"metadata": {"name": "a b"}}, "name must be letters"),
        ({"files": {"config.json": "{}"}}, "plain names"),
        ({"files": {"../x": "y"}}, "plain names"),
        ({"files": {"x": 3}}, "contents as str or bytes"),
        ({"files": {"": "y"}}, "plain names"),
        ({"preprocessor": object()}, "must describe an object with `get_config`"),
        ({"metadata": ["task"]}, r"`metadata` must be a dict of.*\['task'\]"),
        ({"metadata": []}, "`metadata` must be a dict"),
        ({"metadata": {"inputs": ["wave"]}}, r"\['inputs'\] must be a dict of inputs"),
        ({"metadata": {"inputs": {"wave": "mV"}}}, r"\['inputs'\]\['wave'\] must be"),
        ({"metadata": {"versions": "1"}}, r"\['versions'\] must be a dict"),
        ({"files": ["README.md"]}, "`files` must be a dict of names"),
        ({"golden": np.zeros((1, 6))}, "`golden` must be a dict of arrays"),
        ({"golden": {"wave": [[1], [1, 2]]}}, "`golden` must hold arrays"),
        ({"golden": {"wave": np.zeros((1, 6))}, "weights": False}, "need weights"),
        (
            {"golden": {"wave": np.full((1, 6), np.nan), "text": np.zeros((1, 2))}},
            "NaN",
        ),
    ],
)
def test_arguments_are_checked(model, tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        presets.save(model, tmp_path / "x", **arguments)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("directory", [None, 3, b"x", ["x"], ""])
def test_what_is_no_path(model, directory):
    with pytest.raises(ValueError, match=r"must be a path.* Received: "):
        presets.save(model, directory, overwrite=True)
    with pytest.raises(ValueError, match=r"must be a path.* Received: "):
        presets.register(directory)


@pytest.mark.parametrize(
    "golden",
    [
        {},
        {"wave": np.zeros((1, 6))},
        {"wave": np.zeros((1, 6)), "words": np.zeros((1, 2))},
        {"wave": np.zeros((0, 6)), "text": np.zeros((0, 2))},
        {"wave": np.zeros((2, 6)), "text": np.zeros((1, 2))},
        {"wave": np.zeros((1, 5)), "text": np.zeros((1, 2))},
        {"wave": np.zeros(6), "text": np.zeros(2)},
        {"wave": np.zeros((1, 6), object), "text": np.zeros((1, 2))},
    ],
)
def test_golden_inputs_are_those_of_the_model(model, tmp_path, golden):
    with pytest.raises(ValueError, match="a few samples of each input"):
        presets.save(model, tmp_path / "x", golden=golden)
    assert not any(tmp_path.iterdir())


def test_large_golden_arrays(model, inputs, tmp_path, monkeypatch):
    monkeypatch.setattr(_save._json, "MAX_BYTES", 10_000)
    rng = np.random.default_rng(0)  # Which no compression makes smaller.
    many = {
        name: rng.normal(size=(1000, *value.shape[1:])).astype("float32")
        for name, value in inputs.items()
    }
    with pytest.raises(ValueError, match=r"Golden .* must fit in 10,000 bytes"):
        presets.save(model, tmp_path / "x", golden=many)


def test_file_is_copied_from_its_path(model, tmp_path):
    log = tmp_path / "log.csv"
    log.write_text("epoch\n")
    folder = presets.save(model, tmp_path / "x", files={"train_log.csv": log})
    assert (folder / "train_log.csv").read_text() == "epoch\n"


def test_unbuilt_model(tmp_path):
    with pytest.raises(ValueError, match="built Keras model"):
        presets.save(keras.Sequential([keras.layers.Dense(1)]), tmp_path / "x")


def test_incomplete_get_config_is_found(make_model, inputs, tmp_path, monkeypatch):
    """A layer whose config forgets something gives other outputs when rebuilt."""
    model = make_model()
    norm = next(
        layer
        for layer in model.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    )
    norm.epsilon = 10.0  # `get_config` of the model does not know.
    with pytest.raises(ValueError, match="leaves something out"):
        presets.save(model, tmp_path / "x", golden=inputs)


def test_config_of_other_weights_is_found(make_model, tmp_path):
    model = make_model()
    model.num_classes = 5  # The head has three.
    with pytest.raises(ValueError, match=r"must take the weights.*leaves something"):
        presets.save(model, tmp_path / "x")


def test_fusion_that_only_this_process_names(tmp_path, monkeypatch):
    class Mine(FUSIONS["concat"]):
        """Not in a config, which has its name alone."""

    monkeypatch.setitem(FUSIONS, "mine", Mine)
    shapes = {"a": (4, 2), "b": (3, 2)}
    encoders = {name: keras.layers.Dense(4) for name in shapes}
    model = FusionClassifier(shapes, encoders, "mine", dim=4)
    with pytest.raises(ValueError, match=r"Mine of test_save.*model\.save"):
        presets.save(model, tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_order_of_config_keys_is_kept(make_model, tmp_path):
    folder = presets.save(make_model(), tmp_path / "x")
    config = json.loads((folder / "config.json").read_text())["config"]
    assert list(config) == ["encoder", "num_classes", "dtype", "name"]


def _normalization():
    layer = keras.layers.Normalization()
    layer.adapt(np.arange(12, dtype="float32").reshape(4, 3))
    return layer


def _lookup():
    layer = keras.layers.IntegerLookup()
    layer.adapt(np.array([5, 7, 5]))
    return layer


@pytest.mark.parametrize("adapted", [_normalization, _lookup])
def test_adapted_preprocessor_is_refused(model, tmp_path, adapted):
    """Its config does not hold what it learned: it would come back without it."""
    with pytest.raises(ValueError, match=r"config of the preprocessor.*by `adapt`"):
        presets.save(model, tmp_path / "new", preprocessor=adapted())
    assert not any(tmp_path.iterdir())
    given = keras.layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[1.0, 4.0, 9.0])
    folder = presets.save(model, tmp_path / "new", preprocessor=given)
    x = np.ones((1, 3), "float32")
    np.testing.assert_array_equal(presets.load(folder).preprocessor(x), given(x))


def test_lora_on_int8_is_rounded_when_it_is_saved(tmp_path):
    """As Keras does it: the golden outputs are those of what was saved."""
    x = np.random.default_rng(0).normal(size=(4, 8)).astype("float32")
    model = keras.Sequential([keras.Input((8,), name="x"), keras.layers.Dense(3)])
    model.quantize("int8")
    model.layers[-1].enable_lora(2)
    model.layers[-1].lora_kernel_b.assign(np.full((2, 3), 0.3))
    with pytest.raises(ValueError, match="or LoRA was trained on int8 weights"):
        presets.save(model, tmp_path / "lora", golden={"x": x})
    folder = presets.save(model, tmp_path / "lora")
    saved = presets.save(presets.load(folder), tmp_path / "again", golden={"x": x})
    assert presets.verify(saved)["golden_difference"] < 1e-5


def test_adapted_vocabulary_in_the_model_is_refused(tmp_path):
    x = keras.Input((4,), name="code", dtype="int64")
    model = keras.Model(x, keras.layers.Embedding(3, 2)(_lookup()(x)))
    with pytest.raises(ValueError, match=r"config of the model.*vocabulary="):
        presets.save(model, tmp_path / "new")
