"""Exported models: written whole or not at all, and the numbers of the Keras model."""

import importlib.util
import math
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_mmfusion import _export_formats, export, presets
from keras_mmfusion.export import _check, _export, _exported_model, _tf2onnx
from keras_mmfusion.models import BeatClassifier, FusionClassifier

BACKEND = keras.backend.backend()
PATHS = {"onnx": "m.onnx", "litert": "m.tflite", "openvino": "m.xml"}
PATHS["tf_saved_model"] = "m"


def classifier():
    """With all that has been hard to export: a picture, GELU, masks from NaN."""
    from keras_mmfusion.layers import GramianAngularField, PerStepEncoder

    picture = keras.Sequential(
        [GramianAngularField(image_size=4), keras.layers.Flatten()], name="picture"
    )
    return FusionClassifier(
        # Not in the order of the alphabet, which some writers use.
        inputs={"wave": (3, 8, 2), "calendar": (3, 2)},
        encoders={
            "wave": PerStepEncoder(picture, name="wave_encoder"),
            "calendar": keras.layers.Dense(4, name="calendar_encoder"),
        },
        fusion="atd",
        fusion_options={"num_heads": 2},
        num_classes=3,
        dim=4,
        pooling=None,
        name="small",
    )


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(3)
    return classifier()


@pytest.fixture(scope="module")
def inputs():
    rng = np.random.default_rng(0)
    return {
        "wave": rng.normal(size=(2, 3, 8, 2)).astype("float32"),
        "calendar": rng.normal(size=(2, 3, 2)).astype("float32"),
    }


def require(name):
    """Skip unless this backend can write the format, with what is installed."""
    format = _export_formats.find_format(name)
    if BACKEND not in format.writers:
        pytest.skip(f"{BACKEND} does not write {name}")
    modules = [*format.writers[BACKEND], format.runtime]
    missing = _export_formats.missing_packages(modules)
    if missing:
        pytest.skip(f"needs {' '.join(dict.fromkeys(missing))}")


@pytest.fixture(scope="module")
def written(model, inputs, tmp_path_factory):
    """`written(format)`: path and report of the model in a format, exported once."""
    found = {}

    def write(name):
        require(name)
        if name not in found:
            path = tmp_path_factory.mktemp(name) / "new" / PATHS[name]
            found[name] = path, export.export_model(model, path, name, inputs)
        return found[name]

    return write


@pytest.mark.parametrize("name", list(PATHS))
def test_the_file_gives_the_numbers_of_the_model(written, model, inputs, name):
    path, report = written(name)
    assert report["difference"] < 1e-5
    assert report["samples"] == 8 and report["missing"] == 6
    assert report["bytes"] > 1000 and report["milliseconds"] > 0
    assert "something missing" in str(report)
    names = sorted(p.name for p in path.parent.iterdir())
    assert names == (["m.bin", "m.xml"] if name == "openvino" else [path.name])
    assert report["batch_size"] == (1 if BACKEND == "torch" else None)

    exported = export.ExportedModel(path)
    assert exported.batch_size == report["batch_size"]
    x = {key: np.repeat(x, 3, axis=0) for key, x in inputs.items()}
    x["wave"][1, ..., 0] = np.nan  # a lead
    x["wave"][2] = np.nan  # a modality
    x["calendar"][3, 1:] = np.nan  # time steps
    np.testing.assert_allclose(exported(x), model.predict(x, verbose=0), atol=1e-5)
    with pytest.raises(
        export.ExportError, match=r"has the inputs .* Received: \['a'\]"
    ):
        exported({"a": inputs["wave"]})
    double = {key: value.astype("float64") for key, value in inputs.items()}
    np.testing.assert_allclose(exported(double), exported(inputs))
    with pytest.raises(export.ExportError, match=r"Received: {'wave': 0, 'calendar'"):
        exported({**inputs, "wave": inputs["wave"][:0]})
    for wrong in (inputs["wave"][..., :1], inputs["wave"][..., 0], np.float32(1)):
        with pytest.raises(export.ExportError, match=r"\(samples, 3, 8, 2\)\. Rec"):
            exported({**inputs, "wave": wrong})


def operators(path):
    """Names of the operators in a LiteRT file, read from its bytes."""
    from ai_edge_litert import schema_py_generated as schema

    names = {v: k for k, v in vars(schema.BuiltinOperator).items() if k[0] != "_"}
    file = schema.Model.GetRootAs(path.read_bytes())
    codes = [file.OperatorCodes(i) for i in range(file.OperatorCodesLength())]
    found = set()
    for i in range(file.SubgraphsLength()):
        graph = file.Subgraphs(i)
        for k in range(graph.OperatorsLength()):
            code = codes[graph.Operators(k).OpcodeIndex()]
            custom = code.CustomCode()
            found.add(custom.decode() if custom else names[code.BuiltinCode()])
    return found


def test_a_litert_file_needs_built_in_operators_only(written):
    """Flex operators, which need TensorFlow beside the runtime, are custom ones."""
    assert_built_in(written("litert")[0])


def test_the_ecg_preset_needs_built_in_operators_only(tmp_path):
    """One of its members: the others differ in their weights only."""
    require("litert")
    member = presets.load("atd_mitbih").members[0]
    path = tmp_path / "m.tflite"
    report = export.export_model(member, path, "litert")
    assert report["difference"] < 1e-5
    assert_built_in(path)


def assert_built_in(path):
    from ai_edge_litert import schema_py_generated as schema

    found = operators(path)
    assert found & {"FULLY_CONNECTED", "BATCH_MATMUL"}
    assert found <= set(vars(schema.BuiltinOperator)) - {"CUSTOM"}


def test_a_flex_operator_would_be_seen(tmp_path):
    """What the test above looks for is there in a file that was allowed to have it."""
    if BACKEND != "tensorflow" or not importlib.util.find_spec("ai_edge_litert"):
        pytest.skip("needs tensorflow and ai-edge-litert")
    import tensorflow as tf

    spec = tf.TensorSpec([2, 2], tf.float32)
    function = tf.function(tf.linalg.inv).get_concrete_function(spec)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
    kinds = tf.lite.OpsSet
    converter.target_spec.supported_ops = [kinds.TFLITE_BUILTINS, kinds.SELECT_TF_OPS]
    path = tmp_path / "m.tflite"
    path.write_bytes(converter.convert())
    assert operators(path) == {"FlexMatrixInverse"}
    with pytest.raises(export.ExportError, match="that ai_edge_litert can run"):
        export.ExportedModel(path)


def test_weights_of_8_bits(inputs, tmp_path):
    """A smaller file, near the numbers of the model."""
    if BACKEND != "tensorflow":
        with pytest.raises(export.ExportError, match=r"8 bits .* backend tensorflow"):
            export.export_model(dense(), tmp_path / "m.onnx", weights="int8")
        return
    require("litert")
    model, sizes = dense(), {}
    for weights in ("float32", "int8"):
        path = tmp_path / f"{weights}.tflite"
        report = export.export_model(model, path, "litert", weights=weights)
        sizes[weights] = report["bytes"]
        assert report["batch_size"] is None
    assert sizes["int8"] < 0.4 * sizes["float32"]
    assert 1e-6 < report["difference"] < report["tolerance"] == 0.05


def dense():
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((64,), name="load"), keras.layers.Dense(256)])


def test_a_causal_model(inputs, tmp_path):
    require("onnx")
    if BACKEND != "jax":
        pytest.skip("what failed was jax2onnx; the others are tested without")
    wave = keras.Sequential([keras.layers.Reshape((3, 16))], name="wave_encoder")
    model = BeatClassifier(
        inputs={"wave": (3, 8, 2), "calendar": (3, 2)},
        encoders={"wave": wave, "calendar": None},
        fusion="atd",
        dim=4,
        fusion_options={"num_heads": 2},
        causal=True,
        classes=["N", "S"],
    )
    report = export.export_model(model, tmp_path / "m.onnx", inputs=inputs)
    assert report["difference"] < 1e-5 and report["batch_size"] is None


def test_one_batch_size(model, inputs, tmp_path):
    require("onnx")
    path = tmp_path / "m.onnx"
    report = export.export_model(model, path, inputs=inputs, batch_size=3)
    assert report["batch_size"] == 3 and report["difference"] < 1e-5


def test_a_stock_model_without_names(tmp_path):
    """Random inputs; NaN where the model itself gives NaN is not compared."""
    require("onnx")
    small = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    report = export.export_model(small, tmp_path / "m.onnx")
    assert report["difference"] < 1e-5
    out = export.ExportedModel(tmp_path / "m.onnx")({"x": np.ones((3, 4), "float32")})
    assert out.shape == (3, 2)


def test_export_preset(tmp_path):
    """Compared on its golden inputs, which may be of any number."""
    require("onnx")
    golden = {"load": np.ones((2, 64), "float32")}
    folder = presets.save(dense(), tmp_path / "small", golden=golden)
    report = export.export_preset(folder, tmp_path / "m.onnx")
    assert report["samples"] == 7 and report["difference"] < 1e-5


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


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"format": "coreml"}, r"one of onnx, .* Received: format='coreml'"),
        ({"path": "m.pb"}, r"must end in \.onnx\. Received"),
        ({"path": "folder.onnx"}, "must be a file to write. Received: a folder"),
        ({"batch_size": 0}, "positive number. Received: batch_size=0"),
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


def test_what_is_no_exported_model(tmp_path):
    with pytest.raises(export.ExportError, match="does not exist"):
        export.ExportedModel(tmp_path / "m.onnx")
    (tmp_path / "m.txt").write_text("")
    with pytest.raises(export.ExportError, match=r"ends in \.onnx"):
        export.ExportedModel(tmp_path / "m.txt")


def test_garbage_is_no_exported_model(tmp_path):
    pytest.importorskip("onnxruntime")
    (tmp_path / "m.onnx").write_text("garbage")
    with pytest.raises(
        export.ExportError, match=r"that onnxruntime can run\. Received"
    ):
        export.ExportedModel(tmp_path / "m.onnx")


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
