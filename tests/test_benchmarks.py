"""The scripts in benchmarks/ run and print what makes sense. No time is judged.

What they start processes for is done in this one: thirty would each import a backend.
`test_a_process_answers` is of a real one, `test_streaming` of real ones of a script.
"""

import contextlib
import csv
import importlib
import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from backends import once, only_on
from import_pyts import import_pyts

from keras_mmfusion import _kept_memory

ROOT = Path(__file__).resolve().parents[1]
BACKEND = keras.backend.backend()
# What stands in for a checkout of the original: a fusion with its arguments.
MODEL = """
import torch


class LMF(torch.nn.Module):
    def __init__(self, sizes, hidden, text_out, dropouts, output_dim, rank):
        super().__init__()
        self.layer = torch.nn.Linear(sum(sizes), output_dim * rank)

    def forward(self, audio, video, text):
        x = self.audio_subnet(audio), self.video_subnet(video), self.text_subnet(text)
        return self.layer(torch.cat(x, -1))
"""


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")


def load(name):
    return importlib.import_module(name)


@pytest.fixture
def printed(monkeypatch):
    """Rows of a smoke run on the backend of this test."""
    turns = load("turns")

    class Inside(turns.Worker):
        """A worker without a process; all that goes to and fro is still JSON."""

        about = None

        def __init__(self, script, case, backend, threads, memory=False):
            assert backend in (BACKEND, "numpy")
            self.case, self._arguments = case, (script, case, backend, threads)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(turns, "serve", self._serve)
                main(Path(script).stem, "--here", json.dumps(case))

        def _serve(self, about, calls):
            self.about, self._calls = json.loads(json.dumps(about)), calls

        def send(self, do, name, number=1):
            self._answer = json.dumps(turns.answer(self._calls, do, name, number))

        def ask(self, do, name, number=1):
            self.send(do, name, number)
            return self.answer()

        def answer(self):
            return json.loads(self._answer)

        def close(self):
            del self._calls

    def main(name, *arguments):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", [name, *arguments])
            assert not load(name).main()

    def run(script, *arguments):
        with contextlib.redirect_stdout(io.StringIO()) as output:
            main(script, "--smoke", "--backends", BACKEND, *arguments)
        return list(csv.DictReader(io.StringIO(output.getvalue())))

    monkeypatch.setattr(turns, "Worker", Inside)
    # All threads keep what they have for the tests that come after.
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(turns, "pin", lambda: None)
    if BACKEND == "torch":
        monkeypatch.setattr("torch.set_num_threads", lambda number: None)
    return run


SERVER = """
import sys
import numpy as np
import turns
assert sys.argv[1:] == ["--here", '{"a": [1]}'], "not asked for"
def call():
    print("no answer")
    return np.ones(8_000_000)
turns.serve({"parameters": 7}, {"call": call})
"""


@once
def test_a_process_answers(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "benchmarks"))
    turns = load("turns")
    script = tmp_path / "server.py"
    script.write_text(SERVER, encoding="utf-8")
    with turns.Worker(script, {"a": [1]}, "jax", 1) as worker:
        assert worker.about == {"parameters": 7}
        assert worker.ask("output", "call", 3) == [1.0, 1.0, 1.0]
        worker.send("time", "call", 2)
        times = worker.answer()
        assert all(times[clock] > 0 for clock in turns.CLOCKS)
        assert worker.for_memory() is worker
        (size,) = turns.memory([worker], ["call"])
        assert size["call"] is None or 63e6 < size["call"] < 72e6
    assert worker.process.returncode == 0
    failed = turns.Worker(script, {"a": [2]}, "jax", 1)
    with failed, pytest.raises(RuntimeError, match="ended with exit code 1"):
        _ = failed.about


def check_times(row):
    """Numbers above zero, medians within their ranges."""
    for name in ("ms", "ratio"):
        least, middle, most = (float(row[name + end]) for end in ("_min", "", "_max"))
        assert 0 < least <= middle <= most, row
    assert float(row["reference_ms"]) > 0 and row["turns"] == "2", row
    if sys.platform == "linux":
        assert 0 <= float(row["memory_mb"]) < 500, row
        assert 0 <= float(row["reference_memory_mb"]) < 500, row


@once
def test_fusions(tmp_path, printed):
    pytest.importorskip("torch")
    (tmp_path / "model.py").write_text(MODEL, encoding="utf-8")
    fusions = load("fusions")
    dim = fusions.SMOKE["features"]
    arguments = ("--fusions", "lmf", "attention", "--peer", str(tmp_path))
    rows = printed("fusions", *arguments)
    keys = [(row["fusion"], row["call"], row["clock"]) for row in rows]
    calls, clocks = ("forward", "step"), ("wall", "cpu")
    names = ("lmf", "attention")
    assert keys == [(n, a, b) for n in names for a in calls for b in clocks]
    # A bias for each projection but that of the keys, in two stages.
    cascade = 2 * (4 * dim**2 + 3 * dim)
    lmf = 3 * (dim + 1) * 4 * dim + 4 + dim
    expected = {
        "lmf": (lmf, (3 * dim + 1) * 4 * dim, "original LMF"),
        "attention": (cascade, cascade, "by hand"),
    }
    for row in rows:
        check_times(row)
        ours, theirs, reference = expected[row["fusion"]]
        assert row["backend"] == BACKEND and row["reference"] == reference
        assert int(row["parameters"]) == ours
        assert int(row["reference_parameters"]) == theirs


@once
def test_all_fusions_are_measured():
    from keras_mmfusion.models.fusions import FUSIONS

    fusions = load("fusions")
    assert fusions.names() == [*FUSIONS, fusions.CASCADE]
    streams = fusions.make_streams(**fusions.SMOKE)
    for name in FUSIONS:
        layer = fusions.make_fusion(name, fusions.SMOKE["features"])
        assert type(layer) is FUSIONS[name]
        assert np.isfinite(keras.ops.convert_to_numpy(layer(streams))).all()


@once
def test_search(printed):
    """Ours finds what scikit-learn finds, or there are no rows."""
    rows = printed("search")
    found = {(row["call"], row["backend"]) for row in rows}
    assert found == {
        ("vectors, 1", "numpy"),
        ("vectors, 32", "numpy"),
        ("text", BACKEND),
        ("text, re-ranked", BACKEND),
    }
    assert all(bool(row["ratio"]) == (row["backend"] == "numpy") for row in rows)


@only_on("jax")
def test_kept_memory(printed, monkeypatch):
    kept = []
    monkeypatch.setattr(_kept_memory, "keep_freed_memory", lambda: kept.append(1))
    rows = printed("kept_memory")
    found = [(row["model"], row["clock"]) for row in rows]
    models = ("MulTFusion", "ConvLSTMFusion")
    assert found == [(name, clock) for name in models for clock in ("wall", "cpu")]
    assert len(kept) == 2
    for row in rows:
        assert float(row["ratio"]) > 0 and int(row["faults"]) >= 0


@once
def test_parameters():
    """The table names all fusions, and its numbers are those of the models."""
    from keras_mmfusion.models.fusions import FUSIONS

    parameters = load("parameters")
    path = ROOT / "docs" / "benchmarks" / "parameters.csv"
    rows = list(csv.DictReader(path.open(encoding="utf-8")))
    sizes = ("cnn_lstm", "transformer_vit")
    expected = [(size, fusion) for size in sizes for fusion in FUSIONS]
    assert [(row["encoders"], row["fusion"]) for row in rows] == expected
    for row in rows:
        if row["encoders"] == "cnn_lstm" or row["fusion"] == "atd":
            count = parameters.count(row["encoders"], row["fusion"])
            assert list(map(str, count)) == list(row.values())


def test_what_is_no_checkout_is_refused(tmp_path):
    with pytest.raises(ValueError, match="checkout of a fusion has one of the files"):
        load("originals").find([str(tmp_path)])


@once
def test_cascade(printed):
    rows = printed("cascade")
    beside = [row for row in rows if row["case"] == "beside MulT"]
    assert [(row["call"], row["clock"]) for row in beside] == [
        (call, clock) for call in ("forward", "step") for clock in ("wall", "cpu")
    ]
    for row in beside:
        check_times(row)
        assert row["reference"] == "MulTFusion"
    dim = load("cascade").SMOKE["features"]
    # Four projections without a bias for the keys, in two directions, and 1 x 1.
    stage = 2 * (4 * dim**2 + 3 * dim) + 2 * dim**2 + dim
    project = dim**2 + dim
    for row in rows[len(beside) :]:
        modalities, orders = int(row["modalities"]), row["orders"]
        stages = 6 if orders == "all" else modalities - 1
        parameters = modalities * project + stages * stage
        if orders == "all":
            parameters += 3 * dim**2 + dim
        assert int(row["parameters"]) == parameters, row
        assert float(row["growth"]) > 0 and row["case"] == "growth"


@once
def test_pictures(printed):
    import_pyts()
    rows = printed("pictures", "--pictures", "MTF, small")
    assert [(row["picture"], row["clock"]) for row in rows] == [
        ("MTF, small", clock) for clock in ("wall", "cpu")
    ]
    for row in rows:
        check_times(row)
        assert row["backend"] == BACKEND and row["reference"] == "pyts"


@once
def test_conv_lstm(printed):
    """Each is seen to give the numbers of the reference, or the script ends."""
    rows = printed("conv_lstm", "--inputs", "image and sound")
    names = ("ConvLSTM2D, unrolled", "ConvLSTMFusion", "ConvLSTMFusion, unrolled")
    measured = [("3", call, name) for call in ("forward", "step") for name in names]
    measured += [("4", call, "ConvLSTMFusion") for call in ("forward", "step")]
    assert [
        (r["inputs"], r["steps"], r["call"], r["model"], r["clock"]) for r in rows
    ] == [
        ("image and sound", *what, clock)
        for what in measured
        for clock in ("wall", "cpu")
    ]
    for row in rows:
        assert row["backend"] == BACKEND and float(row["first_s"]) > 0
        if row["steps"] == "4":
            assert not row["reference"] and float(row["ms"]) > 0
            continue
        check_times(row)
        assert row["reference"] == "ConvLSTM2D"
        # A kernel of 3 x 3 for each bin, where the layer has one weight.
        more = int(row["reference_parameters"]) - int(row["parameters"])
        assert more == (8 * 5 * 4 * 2 if "Fusion" in row["model"] else 0)
    only = ("--inputs", "frames alone", "--calls", "forward", "--models")
    rows = printed("conv_lstm", *only, "ConvLSTM2D, unrolled", "ConvLSTMFusion")
    compared = [(row["model"], row["reference"]) for row in rows if row["steps"] == "3"]
    assert compared == [("ConvLSTMFusion", "ConvLSTM2D, unrolled")] * 2


@once
def test_forecasting(printed):
    rows = printed("forecasting", "--columns", "1")
    assert [(r["columns"], r["call"], r["model"], r["clock"]) for r in rows] == [
        ("1", call, model, clock)
        for call in ("forward", "step")
        for model in ("stepfusion_etth1", "nlinear", "patches")
        for clock in ("wall", "cpu")
    ]
    for row in rows:
        assert row["reference"] == "patches" and row["turns"] == "2"
        speed, ms = float(row["windows_per_second"]), float(row["ms"])
        assert speed == pytest.approx(4 / (ms / 1e3), rel=1e-2)
        if row["model"] == "patches":
            assert float(row["ratio"]) == 1
        if row["model"] == "nlinear":
            assert int(row["parameters"]) == 337 * 720


@once
def test_attention_memory(printed):
    module = load("attention_memory")
    rows = printed("attention_memory")
    assert [(row["call"], int(row["steps"])) for row in rows] == [
        (call, steps) for call in ("forward", "step") for steps in module.SMOKE
    ]
    used = {"forward 64": 3_000_000, "forward 128": 9_000_000}
    used |= {"step 64": 4_000_000, "step 128": None}
    growth = [row.get("growth") for row in module.rows(used, (64, 128))]
    assert growth == [None, "3.00", None, None]


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_memory_of_a_known_call():
    # So much is always got from the system, never from what was freed before.
    peak = load("turns").peak_memory(lambda: np.ones(8_000_000))
    assert peak is None or 63e6 < peak < 72e6


def test_ratios_are_those_of_neighbours():
    turns = load("turns")
    ours = [{"cpu": s} for s in (0.001, 0.004, 0.002)]
    theirs = [{"cpu": s} for s in (0.002, 0.004, 0.008)]
    assert turns.compare(ours, theirs, "cpu") == {
        "ms": "2",
        "ms_min": "1",
        "ms_max": "4",
        "reference_ms": "4",
        "ratio": "0.5",
        "ratio_min": "0.25",
        "ratio_max": "1",
    }
    assert set(turns.compare(ours, None, "cpu")) == {"ms", "ms_min", "ms_max"}


@pytest.mark.parametrize(
    "other, equal", [([1.0, 3.0], True), ([1.0, 3.1], False), ([1.0, 1.0], False)]
)
def test_unequal_outputs_are_not_compared(other, equal):
    turns = load("turns")
    ours, theirs = (
        SimpleNamespace(case="x", ask=lambda *_, values=values: values)
        for values in ([1.0, 3.0], other)
    )
    if equal:
        turns.check_equal(ours, theirs)
        return
    with pytest.raises(ValueError, match="differ"):
        turns.check_equal(ours, theirs)
