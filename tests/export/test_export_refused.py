"""Exports that fail leave nothing, and say what to do."""

import math
from pathlib import Path

import keras
import numpy as np
import pytest
from exported_models import BACKEND, dense

from keras_mmfusion import _export_formats, export
from keras_mmfusion.export import _check, _export, _exported_model, _tf2onnx


class Twin:
    """Stands for the exported file, and is the Keras model with an error."""

    model, error, batch_size = None, 0.0, None

    def __init__(self, path):
        self.path = path
        assert Path(path).exists()

    def __call__(self, inputs):
        return _check.expected_outputs(Twin.model, inputs)[0] + Twin.error


@pytest.fixture
def faked(monkeypatch, model):
    """An export that writes a few bytes, needs no package and is always right."""
    monkeypatch.setattr(_export_formats, "missing_packages", lambda modules: [])
    monkeypatch.setattr(_tf2onnx, "teach", lambda: None)
    monkeypatch.setattr(_export, "ExportedModel", Twin)
    monkeypatch.setattr(Twin, "model", model)
    monkeypatch.setattr(
        keras.Model, "export", lambda self, path, **kwargs: Path(path).write_text("new")
    )
    return monkeypatch


def test_other_numbers_leave_nothing(model, tmp_path, faked):
    faked.setattr(Twin, "error", 2e-5)
    path = tmp_path / "deep" / "m.onnx"
    with pytest.raises(export.ExportError, match=r"to 1e-05\. Received: .* 2e-05"):
        export.export_model(model, path)
    assert list(tmp_path.iterdir()) == []
    report = export.export_model(model, path, tolerance=math.inf)
    assert path.read_text() == "new" and report["difference"] > 1e-5
    faked.setattr(Twin, "error", np.nan)
    with pytest.raises(export.ExportError, match="difference of inf"):
        export.export_model(model, path, overwrite=True)
    assert [p.name for p in path.parent.iterdir()] == ["m.onnx"]


@pytest.mark.parametrize("tolerance", [math.nan, -1e-5, "1e-5"])
def test_no_tolerance(model, tmp_path, faked, tolerance):
    faked.setattr(Twin, "error", 2e-5)
    with pytest.raises(ValueError, match=r"at least 0\. Received: tolerance="):
        export.export_model(model, tmp_path / "m.onnx", tolerance=tolerance)
    assert list(tmp_path.iterdir()) == []


def test_nan_compares_with_nothing(tmp_path, faked):
    """A model of NaN alone would else be exported as right."""
    broken = dense()
    broken.set_weights([np.full_like(w, np.nan) for w in broken.get_weights()])
    faked.setattr(Twin, "model", broken)
    with pytest.raises(export.ExportError, match="NaN or infinity for every sample"):
        export.export_model(broken, tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_failure_keeps_what_was_there(model, tmp_path, faked):
    path = tmp_path / "m.onnx"
    path.write_text("old")
    with pytest.raises(export.ExportError, match=r"must not exist yet.*overwrite=True"):
        export.export_model(model, path)

    def fail(self, path, **kwargs):
        Path(path).write_text("half")
        raise RuntimeError("no such\noperation")

    faked.setattr(keras.Model, "export", fail)
    with pytest.raises(export.ExportError, match=r"onnx by .* Received: no such oper"):
        export.export_model(model, path, overwrite=True)
    assert path.read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_replace(model, tmp_path, faked):
    path = tmp_path / "m.onnx"
    path.write_text("old")
    export.export_model(model, path, overwrite=True)
    assert path.read_text() == "new" and len(list(tmp_path.iterdir())) == 1


def test_only_a_saved_model_is_replaced(model, tmp_path, faked):
    def write(self, path, **kwargs):
        Path(path).mkdir()
        Path(path, "saved_model.pb").write_text("new")

    faked.setattr(keras.Model, "export", write)
    faked.setattr(_export_formats, "check_backend", lambda format, backend: None)
    for writer in ("jax", "torch", "tensorflow"):
        faked.setitem(_export_formats.FORMATS["tf_saved_model"].writers, writer, ())
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    arguments = {"format": "tf_saved_model", "overwrite": True}
    with pytest.raises(export.ExportError, match="Only a SavedModel may be replaced"):
        export.export_model(model, folder, **arguments)
    (folder / "thesis.txt").rename(folder / "saved_model.pb")
    export.export_model(model, folder, **arguments)
    assert (folder / "saved_model.pb").read_text() == "new"
    assert len(list(tmp_path.iterdir())) == 1


def samples(calendar=2, count=2, dtype="float32"):
    return {
        "wave": np.ones((count, 3, 8, 2), "float32"),
        "calendar": np.ones((count, 3, calendar), dtype),
    }


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"format": "coreml"}, r"one of onnx, .* Received: format='coreml'"),
        ({"path": "m.pb"}, r"must end in \.onnx\. Received"),
        ({"path": "folder.onnx"}, "must be a file to write. Received: a folder"),
        ({"batch_size": 0}, "positive whole number. Received: batch_size=0"),
        ({"batch_size": "2"}, "positive whole number. Received: batch_size='2'"),
        ({"inputs": [1]}, r"one for each of \['wave', 'calendar'\]. Received: list"),
        ({"inputs": {"wave": np.ones((2, 3))}}, r"each of .* Received: \['wave'\]"),
        ({"inputs": samples(dtype=object)}, "none of them of objects. .*'object'"),
        ({"inputs": samples(calendar=1)}, r"'calendar': \(None, 3, 2\).*\(2, 3, 1\)"),
        ({"inputs": samples(count=0)}, r"a few samples of each.*\(0, 3, 8, 2\)"),
        ({"batch_size": True}, "positive whole number. Received: batch_size=True"),
        ({"foo": 1}, "onnx takes opset_version with .*Received: foo. Check how they"),
        ({"verbose": True}, "onnx takes opset_version with .*Received: verbose"),
        ({"format": ["onnx"]}, r"one of onnx, .* Received: format=\['onnx'\]"),
        ({"weights": "int4"}, "one of float32, int8. Received: weights='int4'"),
        ({"weights": "int8"}, "written to LiteRT files by the backend tensorflow"),
        ({"model": "small"}, "built Keras model with known inputs. Received: model='s"),
    ],
)
def test_refused(model, tmp_path, faked, arguments, message):
    (tmp_path / "folder.onnx").mkdir()
    path = tmp_path / arguments.pop("path", "m.onnx")
    with pytest.raises(export.ExportError, match=message):
        export.export_model(**{"model": model, "path": path, **arguments})
    assert [p.name for p in tmp_path.iterdir()] == ["folder.onnx"]


@pytest.mark.parametrize("path", [None, 3, b"m.onnx", ["m.onnx"], ""])
def test_what_is_no_path(model, path):
    with pytest.raises(export.ExportError, match="as str or PathLike"):
        export.export_model(model, path)


def test_further_arguments_by_format_and_backend():
    """Keras takes any for three of the formats, and makes no use of it."""
    for format in _export_formats.FORMATS.values():
        for backend in format.writers:
            if format.name != "litert":
                with pytest.raises(export.ExportError, match="Received: opset"):
                    _export_formats.check_options(format, backend, {"opset": 1})
            with pytest.raises(export.ExportError, match="Received: input_signature"):
                _export_formats.check_options(format, backend, {"input_signature"})
    onnx, litert = (_export_formats.FORMATS[name] for name in ("onnx", "litert"))
    _export_formats.check_options(onnx, "jax", {"opset_version": 17})
    # Its converters have many, and refuse all others.
    _export_formats.check_options(litert, "tensorflow", {"optimizations": []})


def test_a_backend_that_cannot(model, tmp_path, monkeypatch):
    format = _export_formats.FORMATS["litert"]
    writers = {k: v for k, v in format.writers.items() if k != BACKEND}
    other = next(iter(writers))
    with pytest.raises(export.ExportError, match=f"Set KERAS_BACKEND={other}"):
        fewer = _export_formats.Format("litert", ".tflite", writers, format.runtime)
        monkeypatch.setitem(_export_formats.FORMATS, "litert", fewer)
        export.export_model(model, tmp_path / "m.tflite", "litert")


def test_a_package_that_is_missing(model, tmp_path, monkeypatch):
    monkeypatch.setattr(_export_formats.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install .*onnxruntime$"):
        export.export_model(model, tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


def test_outputs_are_in_the_order_of_their_numbers():
    names = [f"output_{i}" for i in range(12)]
    assert sorted(sorted(names), key=_exported_model._number_last) == names
    assert sorted(["y", "x"], key=_exported_model._number_last) == ["x", "y"]


def test_a_model_in_half_precision(tmp_path):
    """Few runtimes know bfloat16; what to do is said beside the error of one."""
    x = keras.Input((4,), name="x")
    model = keras.Model(x, keras.layers.Dense(1, dtype="mixed_bfloat16")(x))
    with (
        pytest.raises(export.ExportError, match=r"^No\. .*in bfloat16: .*\"float32\""),
        _export._in_float32(model),
    ):
        raise export.ExportError("No.")


def test_tokens_that_are_made_up_are_not_all_padding():
    x = keras.Input((None,), name="ids", dtype="int32")
    embedded = keras.layers.Embedding(5, 2, mask_zero=True)(x)
    model = keras.Model(x, keras.layers.GlobalAveragePooling1D()(embedded))
    samples = _check.made_up(model)
    assert samples["ids"].dtype == "int32" and set(samples["ids"].flat) == {0, 1}
    assert np.isfinite(_check.expected_outputs(model, samples)[0][0]).all()


def test_what_is_no_exported_model(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(export.ExportError, match=f"Received: '{tmp_path}"):
        export.ExportedModel("~/m.onnx")
    with pytest.raises(export.ExportError, match="does not exist"):
        export.ExportedModel(tmp_path / "m.onnx")
    (tmp_path / "m.txt").write_text("")
    with pytest.raises(export.ExportError, match=r"ends in \.onnx"):
        export.ExportedModel(tmp_path / "m.txt")


def test_garbage_is_no_exported_model(tmp_path):
    pytest.importorskip("onnxruntime")
    (tmp_path / "m.onnx").write_text("garbage")
    with pytest.raises(
        export.ExportError,
        match=r"that onnxruntime can run\. Received.* Export it again",
    ):
        export.ExportedModel(tmp_path / "m.onnx")


def test_the_folder_of_a_failed_export_is_not_named(model, tmp_path, faked):
    """It is gone by the time that the message is read."""
    pytest.importorskip("onnxruntime")
    faked.setattr(_export, "ExportedModel", _exported_model.ExportedModel)
    with pytest.raises(export.ExportError, match=r"^m\.onnx must be") as failed:
        export.export_model(model, tmp_path / "m.onnx")
    assert str(tmp_path) not in str(failed.value).partition("Received")[0]


def test_missing_is_missing_in_every_way(inputs):
    ids = np.arange(6).reshape(2, 3)
    samples, count = _check.with_missing({**inputs, "ids": ids})
    assert count == 7
    wave, calendar = samples["wave"][2:], samples["calendar"][2:]
    assert np.isnan(wave[0]).all() and not np.isnan(calendar[0]).any()
    assert np.isnan(calendar[1]).all() and not np.isnan(wave[1]).any()
    assert np.isnan(wave[3][..., 0]).all() and not np.isnan(wave[3][..., 1]).any()
    assert np.isnan(wave[4][..., 1]).all() and not np.isnan(wave[4][..., 0]).any()
    assert np.isnan(wave[5][0]).all() and not np.isnan(wave[5][1:]).any()
    assert np.isnan(wave[6]).all() and np.isnan(calendar[6]).all()
    assert samples["ids"].dtype == ids.dtype and len(samples["ids"]) == 9
    assert np.array_equal(samples["wave"][:2], inputs["wave"])
