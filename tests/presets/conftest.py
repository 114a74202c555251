"""A small model of this package's kind, and a saved preset of it."""

import hashlib
import io
import json
import os
import shutil
import zipfile

import keras
import numpy as np
import pytest
from preset_servers import FileServer, running

from keras_mmfusion import presets
from keras_mmfusion.presets import _registry


@keras.saving.register_keras_serializable("keras_mmfusion_test")
class ForeignLayer(keras.layers.Layer):
    """Registered, but not in our package."""


@keras.saving.register_keras_serializable("keras_mmfusion")
class TinyScaler:
    """A preprocessor: any object with a config."""

    def __init__(self, scale=1.0):
        self.scale = scale

    def get_config(self):
        return {"scale": self.scale}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


@keras.saving.register_keras_serializable("keras_mmfusion")
class TinyFusion(keras.Model):
    """Two modalities, one encoder that is given, unnamed layers on purpose."""

    def __init__(self, encoder, num_classes=3, dtype=None, **kwargs):
        wave = keras.Input((6,), name="wave", dtype="float32")
        text = keras.Input((2,), name="text", dtype="float32")
        x = keras.layers.Concatenate(dtype=dtype)([encoder(wave), text])
        x = keras.layers.BatchNormalization(dtype=dtype)(x)
        x = keras.layers.Dropout(0.5, dtype=dtype)(x)
        if num_classes:
            x = keras.layers.Dense(num_classes, name="head", dtype=dtype)(x)
        super().__init__({"wave": wave, "text": text}, x, **kwargs)
        self.encoder_name = encoder.name
        self.num_classes = num_classes
        self.preprocessor = None
        self.policy = keras.dtype_policies.get(dtype or "float32")

    def get_config(self):
        return {
            "encoder": keras.saving.serialize_keras_object(
                self.get_layer(self.encoder_name)
            ),
            "num_classes": self.num_classes,
            "dtype": keras.dtype_policies.serialize(self.policy),
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config):
        encoder = keras.saving.deserialize_keras_object(config["encoder"])
        dtype = keras.dtype_policies.get(config["dtype"])
        return cls(**{**config, "encoder": encoder, "dtype": dtype})

    def with_num_classes(self, num_classes):
        model = type(self).from_config(
            {**self.get_config(), "num_classes": num_classes}
        )
        for new, old in zip(model.layers, self.layers, strict=False):
            if new.name != "head":
                new.set_weights(old.get_weights())
        return model


def tiny_model():
    """A new `TinyFusion` with random weights."""
    encoder = keras.Sequential([keras.Input((6,)), keras.layers.Dense(4)], name="enc")
    return TinyFusion(encoder, name="tiny")


@pytest.fixture(autouse=True)
def no_registered_presets(monkeypatch, tmp_path_factory):
    """Each test starts without registered or shipped presets."""
    monkeypatch.setattr(_registry, "_registered", {})
    empty = tmp_path_factory.mktemp("zoo")
    monkeypatch.setattr(_registry, "shipped_directory", lambda: empty)
    return empty


@pytest.fixture
def make_model():
    return tiny_model


@pytest.fixture(scope="session")
def inputs():
    rng = np.random.default_rng(0)
    return {
        "wave": rng.normal(size=(3, 6)).astype("float32"),
        "text": rng.normal(size=(3, 2)).astype("float32"),
    }


@pytest.fixture(scope="session")
def model():
    """Shared by the tests; do not change it."""
    # Each test begins with the seed 0; a model made there must differ from this one.
    keras.utils.set_random_seed(1)
    return tiny_model()


@pytest.fixture(scope="session")
def saved_once(model, inputs, tmp_path_factory):
    return presets.save(
        model,
        tmp_path_factory.mktemp("saved") / "tiny",
        preprocessor=TinyScaler(2.5),
        metadata={
            "task": "classification",
            "version": "1.2",
            "inputs": {"wave": {"units": "mV", "sampling_rate": 360}},
            "outputs": {"classes": ["a", "b", "c"]},
            "metrics": {"accuracy": {"mean": np.float32(0.75), "sd": 0.01, "n": 3}},
            "recipe": {"command": "python recipes/tiny/train.py"},
        },
        golden=inputs,
        files={"README.md": "# Tiny\n", "train_log.csv": b"epoch,loss\n0,1.0\n"},
    )


@pytest.fixture
def saved(saved_once, tmp_path):
    """A preset folder that a test may spoil."""
    return shutil.copytree(saved_once, tmp_path / "tiny")


@pytest.fixture
def rehash():
    """Make the metadata of a spoilt folder fit its files again."""

    def rehash(folder, **changes):
        metadata = json.loads((folder / "metadata.json").read_text())
        metadata["files"] = {
            path.name: {
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                "bytes": path.stat().st_size,
            }
            for path in folder.iterdir()
            if path.name != "metadata.json"
        }
        metadata.update(changes)
        (folder / "metadata.json").write_text(json.dumps(metadata))

    return rehash


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The empty cache of this test; no waiting, and no proxy between."""
    from keras_mmfusion.presets import _download

    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(_download, "PAUSE", 0.0)
    return tmp_path / "home" / "keras_mmfusion" / "presets"


@pytest.fixture
def read_only(tmp_path):
    """A function that takes the right to write to a folder from this process."""
    if not hasattr(os, "geteuid"):
        pytest.skip("needs the rights of POSIX")
    root = os.geteuid() == 0
    above = {folder: folder.stat().st_mode for folder in tmp_path.parents[:3]}
    if root:
        # Root may write anywhere: be nobody, who must reach the folder at least.
        for folder in (tmp_path, *above):
            folder.chmod(folder.stat().st_mode | 0o055)

    def lock(folder):
        folders = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
        for path in folders:
            path.chmod(0o555)
        if root:
            os.seteuid(65534)

    yield lock
    if root:
        os.seteuid(0)
        for folder, mode in above.items():
            folder.chmod(mode & 0o7777)
    for path in (tmp_path, *tmp_path.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)


@pytest.fixture
def server():
    with running(FileServer()) as server:
        yield server


@pytest.fixture
def pack():
    """A function: the bytes of a .zip file of a folder, as `zipfile -c` writes it."""

    def pack(folder):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(folder, folder.name)
            for path in sorted(folder.iterdir()):
                archive.write(path, f"{folder.name}/{path.name}")
        return file.getvalue()

    return pack
