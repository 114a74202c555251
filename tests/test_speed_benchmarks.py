"""Benchmarks that are not of one layer or model: what they count, that they run."""

import csv
import importlib
import io
import math
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from backends import once, only_on

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    for folder in ("benchmarks", "docs"):
        monkeypatch.syspath_prepend(ROOT / folder)


def load(name):
    return importlib.import_module(name)


def printed(script, *arguments):
    command = [sys.executable, str(ROOT / "benchmarks" / script), "--smoke"]
    command += ["--backends", keras.backend.backend(), *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-2000:]
    return list(csv.DictReader(io.StringIO(result.stdout)))


@only_on("jax")
def test_gpu():
    from keras_mmfusion import presets

    rows = printed("gpu.py", "--steps-per-execution", "2")
    assert [row["call"] for row in rows] == ["forward", "step"]
    parameters = presets.info("mcwsa_mnist")["parameters"]
    for row in rows:
        assert row["case"] == "mcwsa_mnist" and row["backend"] == "jax"
        assert int(row["parameters"]) == parameters and row["flop_by"] == "XLA"
        assert 0 < float(row["ms_min"]) <= float(row["ms"]) <= float(row["ms_max"])
        rate = float(row["gflop"]) / float(row["ms"]) * 1e3
        assert rate == pytest.approx(float(row["gflop_per_s"]), rel=1e-2)
        share = rate / float(row["ceiling_gflop_per_s"])
        assert share == pytest.approx(float(row["flop_share"]), rel=1e-2)
        assert float(row["gb_per_s"]) > 0 and float(row["byte_share"]) > 0
    # A step is a forward pass, its gradients, and more.
    assert 2 < float(rows[1]["gflop"]) / float(rows[0]["gflop"]) < 8


@only_on("jax")
def test_products_are_counted():
    import jax
    from jax import numpy as jnp

    cost = load("gpu_cost")
    a, b = jnp.ones((3, 5)), jnp.ones((5, 7))
    one = 2 * 3 * 5 * 7

    def loop(count):
        def body(x, _):
            return x @ (b @ b.T), None

        return lambda x: jax.lax.scan(body, x, None, count)[0]

    def count(function, *arguments):
        return cost.products(jax.make_jaxpr(function)(*arguments).jaxpr)

    assert count(lambda a: a @ b, a) == (one, False)
    assert count(jax.jit(lambda a: jnp.tanh(a @ b).sum()), a) == (one, False)
    inside = 2 * 5 * 7 * 5 + 2 * 3 * 5 * 5
    assert count(loop(4), a) == (4 * inside, True)
    both = jax.grad(lambda a, b: (a @ b).sum(), (0, 1))
    assert count(both, a, b)[0] >= 2 * one
    either = count(lambda a: jax.lax.cond(a.sum() > 0, lambda: a @ b, lambda: a @ b), a)
    assert either == (one, False)
    image, kernel = jnp.ones((2, 9, 9, 6)), jnp.ones((3, 3, 3, 8))

    def convolve(image, kernel):
        return jax.lax.conv_general_dilated(
            image,
            kernel,
            (1, 1),
            "VALID",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=2,
        )

    assert count(convolve, image, kernel)[0] == 2 * (2 * 7 * 7 * 8) * (3 * 3 * 3)
    # What XLA counts where it can be compared, and where it counts a loop once.
    plain = cost.cost(lambda a: a @ b, a)
    assert plain["flop_by"] == "XLA" and plain["flop"] == pytest.approx(one, rel=0.05)
    looped = cost.cost(loop(4), a)
    assert looped["flop"] == 4 * inside and "formula" in looped["flop_by"]
    assert looped["bytes_by"] == "XLA, loops once"


@once
def test_cases():
    """Every preset is one, the large ones on a GPU or by name."""
    from keras_mmfusion import presets

    cases = load("gpu_cases")
    every = cases.names()
    shipped = {row["name"] for row in presets.list()}
    assert set(every) == {*shipped, "retriever_70m", "retriever_282m"}
    few = set(every) - set(cases.names(gpu=False))
    assert few == {
        "retriever_70m", "retriever_282m", "zoomshift_coco_cn", "zoomshift_flickr30k",
    }  # fmt: skip
    assert cases.names(["retriever_70m"], gpu=False) == ["retriever_70m"]
    with pytest.raises(SystemExit, match=r"must be of .*atd_mitbih.* Received: x"):
        cases.names(["x"])


@once
@pytest.mark.parametrize(
    "name", ["atd_mitbih_random", "mcwsa_mnist", "zoomshift_emoji_en", "atd_etth1"]
)
def test_made_inputs_fit(name):
    """One of each kind of model takes its inputs, its targets and a small step."""
    model, x, y = load("gpu_cases").make(name, "float32", batch=2)
    before = model.trainable_variables[-1].numpy().copy()
    loss = np.ravel(model.train_on_batch(x, y))
    assert math.isfinite(loss[0]) and loss[0] > 0
    assert {len(values) for values in x.values()} == {2}
    assert not np.array_equal(before, model.trainable_variables[-1].numpy())


@once
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_streaming():
    rows = printed("streaming.py")
    streaming = load("streaming")
    timed = [row for row in rows if row["times"] == "1"]
    assert [(row["path"], row["clock"]) for row in timed] == [
        (path, clock) for path in streaming.SMOKE for clock in ("wall", "cpu")
    ]
    for row in rows:
        assert int(row["beats"]) == 368 * int(row["times"])
        assert float(row["peak_mb"]) >= float(row["quarter_4_mb"]) >= 0, row
        assert bool(row["ratio"]) == (row["times"] == "1")
    assert all(float(row["ratio"]) == 1 for row in timed[:2])


@once
def test_label_database(data_dir):
    command = [sys.executable, str(ROOT / "benchmarks" / "label_database.py")]
    command += ["--records", "100", "--runs", "1", "--data", str(data_dir)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-2000:]
    rows = {row["stage"]: row for row in csv.DictReader(io.StringIO(result.stdout))}
    assert {row["beats"] for row in rows.values()} == {"2273"}
    parts = sum(float(rows[name]["median"]) for name in ("read", "cut", "label"))
    assert float(rows["all"]["median"]) == pytest.approx(parts, abs=0.02)


@once
def test_tables():
    tables = load("speed_tables")
    assert tables.gpu([]) == tables.NO_GPU
    row = {"case": "a", "backend": "jax", "device": "A card", "precision": "float32"}
    row |= {"batch": "4", "parameters": "1234", "call": "step", "timed": "wall"}
    row |= {"ms": "2.5", "gflop_per_s": "250", "ceiling_gflop_per_s": "1000"}
    row |= {"flop_share": "0.25", "gb_per_s": "", "ceiling_gb_per_s": "10"}
    text = tables.gpu([row | {"byte_share": ""}])
    assert "JAX: A card, float32, at most 1,000 GFLOP/s and 10.0 GB/s, wall" in text
    cell = "2.50 ms, 250 GFLOP/s (25 %)"
    assert f"| `a` | 1,234 | 4 | training step |  | {cell} |  |" in text
    row = {"path": "streamed", "times": "4", "beats": "400", "open_mb": "1.4"}
    row |= {"peak_mb": "20.2", "quarter_4_mb": "3", "ratio": ""}
    assert "| streamed | 4 × 100 | 1 | 20 | 3 |  |  |" in tables.streaming([row])
    row = {"stage": "read", "median": "1.5", "min": "1.25", "max": "2", "unit": "s"}
    text = tables.labelling([row | {"runs": "3", "beats": "4321"}])
    assert "4,321 beats" in text and "| read | 1.50 s (1.25–2.00) |" in text
    row = {"backend": "jax", "import": "added", "clock": "cpu", "median": "0.0815"}
    text = tables.importing([row | {"min": "0.08", "max": "0.1"}])
    assert "| JAX | added | 82 ms | 80 ms | 100 ms |" in text
