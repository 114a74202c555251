"""A preset that is not what its author left is refused before it is read."""

import io
import json
import os
import pickle
import re
import zipfile

import numpy as np
import pytest
from backends import once

from keras_mmfusion import presets
from keras_mmfusion.presets import _golden, _json
from keras_mmfusion.presets._errors import PresetError
from keras_mmfusion.presets._folder import PresetFolder

pytestmark = once


def flip_last_byte(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))


FILES = [
    *("config.json", "preprocessor.json", "model.weights.h5"),
    *("golden.npz", "README.md", "train_log.csv"),
]


def test_these_are_all_files(saved):
    assert {path.name for path in saved.iterdir()} == {*FILES, "metadata.json"}


@pytest.mark.parametrize("name", FILES)
def test_changed_byte(saved, name):
    flip_last_byte(saved / name)
    with pytest.raises(ValueError, match=rf"{name} must have the SHA-256 .*Received"):
        presets.load(saved)


def test_changed_byte_in_the_metadata(saved):
    """No hash covers all of it: what is not refused leaves the files what they are."""
    path = saved / "metadata.json"
    data = path.read_bytes()
    files = json.loads(data)["files"]
    refused = 0
    for position in range(len(data)):
        spoilt = bytearray(data)
        spoilt[position] ^= 1
        path.write_bytes(bytes(spoilt))
        try:
            PresetFolder(saved).check_files()
        except ValueError as error:
            refused += 1
            assert str(saved) in str(error)
        else:
            assert json.loads(path.read_bytes())["files"] == files
    assert refused > len(data) / 2


@pytest.mark.parametrize("name", [*FILES, "metadata.json"])
def test_cut_short(saved, name):
    path = saved / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    message = "is not valid JSON" if name == "metadata.json" else "must have .* bytes"
    with pytest.raises(ValueError, match=rf"{name} {message}"):
        presets.load(saved)


def test_hashes_come_before_parsing(saved, monkeypatch):
    parsed = []
    original = _json.parse
    monkeypatch.setattr(
        _json, "parse", lambda data, what: parsed.append(what) or original(data, what)
    )
    flip_last_byte(saved / "train_log.csv")
    with pytest.raises(ValueError, match=r"train_log\.csv"):
        presets.load(saved)
    assert parsed == [str(saved / "metadata.json")]


def test_missing_file(saved):
    (saved / "model.weights.h5").unlink()
    with pytest.raises(ValueError, match=r"missing=\['model\.weights\.h5'\]"):
        presets.load(saved)


def test_extra_file(saved):
    (saved / "extra.py").write_text("")
    with pytest.raises(ValueError, match=r"not listed=\['extra\.py'\]"):
        presets.load(saved)


def test_folder_in_place_of_a_file(saved):
    (saved / "README.md").unlink()
    (saved / "README.md").mkdir()
    with pytest.raises(ValueError, match=r"README\.md must be a file"):
        presets.load(saved)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipe_in_place_of_a_file(saved):
    """Opening one would wait for ever."""
    (saved / "README.md").unlink()
    os.mkfifo(saved / "README.md")
    with pytest.raises(ValueError, match=r"README\.md must be a file"):
        presets.load(saved)


def test_file_outside_the_folder(saved, rehash):
    rehash(saved, files={"../x": {"sha256": "0" * 64, "bytes": 1}})
    with pytest.raises(ValueError, match=r"a plain file.*\.\./x"):
        presets.load(saved)


@pytest.mark.parametrize("name", ["CONFIG.json", "Metadata.JSON"])
def test_names_that_some_disks_do_not_tell_apart(saved, rehash, name):
    (saved / name).write_text("{}")
    rehash(saved)
    with pytest.raises(ValueError, match=rf"capital letters.*'{name}'"):
        presets.load(saved)


def link_to_another(path, outside):
    outside.write_bytes(path.read_bytes()[::-1])


def link_to_nothing(path, outside):
    pass


@pytest.mark.parametrize("name", [*FILES, "metadata.json"])
@pytest.mark.parametrize("target", [link_to_another, link_to_nothing])
def test_link_in_place_of_a_file(saved, tmp_path, name, target):
    """What it leads to is checked, wherever it is."""
    target(saved / name, tmp_path / "outside")
    (saved / name).unlink()
    (saved / name).symlink_to(tmp_path / "outside")
    with pytest.raises(ValueError, match=re.escape(name)):
        presets.load(saved)


def test_links_to_the_very_files(saved, tmp_path):
    """As the cache of huggingface_hub is made of."""
    for i, path in enumerate(sorted(saved.iterdir())):
        path.rename(tmp_path / f"blob{i}")
        path.symlink_to(tmp_path / f"blob{i}")
    assert presets.verify(saved)["golden_difference"] < 1e-5


def test_no_metadata(saved):
    (saved / "metadata.json").unlink()
    with pytest.raises(ValueError, match="has none"):
        presets.load(saved)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"surprise": 1}, r"unknown=\['surprise'\]"),
        ({"parameters": "many"}, "parameters must be an integer"),
        ({"parameters": True}, "parameters must be an integer"),
        ({"schema_version": 99}, "Upgrade keras_mmfusion"),
        ({"version": "new"}, "version must be numbers"),
        ({"name": "../x"}, "name must be letters"),
        ({"recipe": {"seed": 1}}, r"recipe must have .*missing=\['command'\]"),
        ({"inputs": {"wave": {"shape": [6], "dtype": 1}}}, "inputs.wave.dtype must"),
    ],
)
def test_metadata_is_checked(saved, rehash, change, message):
    rehash(saved, **change)
    with pytest.raises(ValueError, match=message):
        presets.info(saved)


def test_metadata_lacks_a_key(saved):
    path = saved / "metadata.json"
    metadata = json.loads(path.read_text())
    del metadata["parameters"]
    path.write_text(json.dumps(metadata))
    with pytest.raises(ValueError, match=r"missing=\['parameters'\]"):
        presets.info(saved)


NO_OBJECT = ["[1]", "{", "\xff", "", '\xef\xbb\xbf{"a": 1}', '{"a":' + "9" * 5000 + "}"]
NO_NUMBER = ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"]


@pytest.mark.parametrize("text", [*NO_OBJECT, *(f'{{"a": {n}}}' for n in NO_NUMBER)])
def test_metadata_is_no_json_object(saved, text):
    (saved / "metadata.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=r"metadata\.json (is not valid|must hold)"):
        presets.info(saved)


def test_a_key_twice(saved):
    """Other readers would take the first of them."""
    path = saved / "metadata.json"
    path.write_text(path.read_text().replace("{", '{"files": {},', 1))
    with pytest.raises(ValueError, match="the key 'files' is there twice"):
        presets.load(saved)


@pytest.mark.parametrize("text", ["\x1b[2J", "\x07", "\r", "\x9b2J", "\u202e"])
def test_text_that_a_terminal_obeys(saved, rehash, text):
    for changes in ({"task": text}, {"inputs": {text: {}}}, {"limitations": [text]}):
        rehash(saved, **{"task": "x", "inputs": {}, **changes})
        with pytest.raises(ValueError, match=r"no control characters.*Received") as e:
            presets.info(saved)
        assert text not in str(e.value)


def test_text_that_is_slow_to_read(saved):
    """A string of escaped quotes without an end; trying each of them takes hours."""
    (saved / "metadata.json").write_bytes(b'{"' + b'\\"' * 4_000_000)
    with pytest.raises(ValueError, match=r"metadata\.json is not valid JSON"):
        presets.info(saved)


def test_weights_of_other_shapes(saved, rehash, make_model, tmp_path):
    other = presets.save(make_model().with_num_classes(5), tmp_path / "other")
    (saved / "model.weights.h5").write_bytes((other / "model.weights.h5").read_bytes())
    rehash(saved)
    with pytest.raises(ValueError, match=r"model\.weights\.h5 must hold the weights"):
        presets.load(saved)


def test_weights_are_no_weights(saved, rehash):
    (saved / "model.weights.h5").write_bytes(b"not HDF5")
    rehash(saved)
    with pytest.raises(ValueError, match=r"model\.weights\.h5 must hold the weights"):
        presets.load(saved)


def test_weights_lack_a_layer(saved, rehash):
    import h5py

    with h5py.File(saved / "model.weights.h5", "a") as file:
        del file["layers/sequential"]
    rehash(saved)
    with pytest.raises(ValueError, match=r"model\.weights\.h5 must hold the weights"):
        presets.load(saved)


def test_wrong_parameter_count(saved, rehash):
    rehash(saved, parameters=7)
    with pytest.raises(ValueError, match=r"model of 7 parameters"):
        presets.load(saved)


def test_verify_is_content(saved):
    report = presets.verify(saved)
    assert report["golden_difference"] < 1e-5
    assert report["files"] == 6
    assert "hashes equal" in str(report)


def test_verify_finds_a_changed_weight(saved, rehash):
    import h5py

    with h5py.File(saved / "model.weights.h5", "a") as file:
        file["layers/dense/vars/1"][0] += 0.01
    rehash(saved)
    presets.load(saved)
    with pytest.raises(ValueError, match=r"must give the outputs in golden\.npz"):
        presets.verify(saved)
    assert presets.verify(saved, tolerance=1)["golden_difference"] > 1e-5


@pytest.mark.parametrize("tolerance", [float("nan"), -1e-5, "1e-5", None])
def test_verify_needs_a_tolerance(saved, tolerance):
    with pytest.raises(ValueError, match=r"at least 0\. Received: tolerance="):
        presets.verify(saved, tolerance)


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **{"output": np.zeros(3, "float32"), **arrays})
    return file.getvalue()


def declared(descr, shape):
    """An array that is of a shape in its header only."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": descr, "fortran_order": False, "shape": shape}
    )
    file = io.BytesIO(npz())
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("input/wave.npy", header.getvalue())
    return file.getvalue()


def compressed(name="input/wave", size=10**8):
    file = io.BytesIO()
    np.savez_compressed(file, **{name: np.zeros(size, "uint8"), "output": np.zeros(1)})
    return file.getvalue()


def a_single_array():
    file = io.BytesIO()
    np.save(file, np.zeros(3))
    return file.getvalue()


BAD_GOLDEN = {
    "pickles": lambda: npz(output=np.array([{}], dtype=object)),
    "pickle": lambda: pickle.dumps({"output": 1}),
    "a single array": a_single_array,
    "no zip": lambda: b"PK",
    "bomb": compressed,
    "huge": lambda: declared("<f4", (2**50,)),
    "huge count": lambda: declared("<f4", (10**30,)),
    "huge of nothing": lambda: declared("<U0", (2**50,)),
    "negative": lambda: declared("<f4", (-3,)),
    "records": lambda: npz(**{"input/wave": np.zeros(3, "f4,i4")}),
    "dates": lambda: npz(**{"input/wave": np.zeros(3, "M8[s]")}),
}


@pytest.mark.parametrize("name", BAD_GOLDEN)
def test_golden_is_no_plain_npz(saved, rehash, name):
    (saved / "golden.npz").write_bytes(BAD_GOLDEN[name]())
    rehash(saved)
    with pytest.raises(ValueError, match=r"golden\.npz must be an \.npz of plain"):
        presets.verify(saved)


def test_golden_of_another_model(saved, rehash):
    wave = np.zeros((3, 7), "float32")
    (saved / "golden.npz").write_bytes(npz(**{"input/wave": wave}))
    rehash(saved)
    with pytest.raises(ValueError, match=r"golden\.npz must hold inputs that the mod"):
        presets.verify(saved)


def test_any_byte_of_golden_may_be_wrong(saved):
    """An error of ours, or arrays that are no larger than the file."""
    data = (saved / "golden.npz").read_bytes()
    refused = 0
    for position in range(len(data)):
        spoilt = bytearray(data)
        spoilt[position] ^= 0x5A
        try:
            _golden.parse(bytes(spoilt), "golden.npz")
        except PresetError:
            refused += 1
    assert refused > len(data) / 2
