"""Exported models: written whole or not at all, and the numbers of the Keras model."""

import importlib.util

import keras
import numpy as np
import pytest
from exported_models import BACKEND, dense, require, small_beats

from keras_mmfusion import export, presets
from keras_mmfusion.models import BeatEnsemble

PATHS = {"onnx": "m.onnx", "litert": "m.tflite", "openvino": "m.xml"}
PATHS["tf_saved_model"] = "m"


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
    with pytest.raises(export.ExportError, match=r"a dict of arrays, .* tuple\."):
        exported(tuple(inputs.values()))
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


def test_a_whole_ensemble(tmp_path):
    """Members share their inputs, and the file gives what they decide together."""
    require("litert")
    if BACKEND != "tensorflow":
        pytest.skip("one writer is enough: members are exported from the others")
    members = [small_beats(seed) for seed in (0, 1)]
    path = tmp_path / "m.tflite"
    ensemble = BeatEnsemble(members, specialists={"S": [1]}, alone=False)
    report = export.export_model(ensemble, path, "litert")
    assert report["difference"] < 1e-5 and report["missing"] > 0
    assert_built_in(path)
    x = {name: np.zeros((1, *t.shape[1:]), "f") for name, t in ensemble.input.items()}
    x["wave"][:] = np.nan
    expected = ensemble.predict(x, verbose=0)
    np.testing.assert_allclose(export.ExportedModel(path)(x), expected, atol=1e-5)


def test_an_ecg_preset_as_onnx(tmp_path):
    """A single network: the four of `atd_mitbih` take four times as long."""
    require("onnx")
    report = export.export_preset("atd_mitbih_random", tmp_path / "m.onnx")
    assert report["difference"] < 1e-5 and report["missing"] > 0


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


def test_a_causal_model(inputs, tmp_path):
    require("onnx")
    if BACKEND != "jax":
        pytest.skip("what failed was jax2onnx; the others are tested without")
    model = small_beats(causal=True)
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
