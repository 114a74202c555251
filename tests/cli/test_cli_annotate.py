import csv
import re
from types import SimpleNamespace

import numpy as np
import pytest
import wfdb
from backends import once
from cli_fakes import RuleModel, copy_excerpt, files_in, write_record
from scipy.signal import resample_poly

from keras_mmfusion import cli, presets
from keras_mmfusion.analysis import BeatLabels
from keras_mmfusion.cli import annotate
from keras_mmfusion.cli.demo import EXCERPT
from keras_mmfusion.datasets import RecordError, read_wfdb

pytestmark = [once, pytest.mark.usefixtures("loaded")]


def rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_annotate_with_an_annotation_file(tmp_path, capsys, loaded):
    path = copy_excerpt(tmp_path)
    assert cli.main(["annotate", str(path), "--beats", "atr"]) == 0
    captured = capsys.readouterr()
    assert captured.err == "" and loaded == ["atd_mitbih"]
    assert ".atr" in captured.out and "MLII, V1" in captured.out
    assert "beats per hour" in captured.out
    assert files_in(tmp_path) == sorted(
        ["rec.atr", "rec.dat", "rec.hea", "rec.mmf", "rec.mmf.csv"]
    )
    reference = wfdb.rdann(str(path), "atr")
    written = wfdb.rdann(str(path), "mmf")
    np.testing.assert_array_equal(written.sample, reference.sample)
    assert written.fs == 360
    table = rows(f"{path}.mmf.csv")
    assert [row["label"] for row in table] == written.symbol
    assert [int(row["sample"]) for row in table] == written.sample.tolist()
    first = table[0]
    assert list(first) == [
        "time_s", "sample", "label", "reason", "p_N", "p_S", "p_V", "p_F",
    ]  # fmt: skip
    assert float(first["time_s"]) == pytest.approx(int(first["sample"]) / 360, abs=1e-4)
    assert sum(float(first[f"p_{c}"]) for c in "NSVF") == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(
    "suffix,beats",
    [(".hea", []), (".dat", ["--beats=detect"]), ("", ["--beats=xqrs"]), (".mat", [])],
)
def test_annotate_with_detected_beats(tmp_path, capsys, suffix, beats):
    path = copy_excerpt(tmp_path / "in")
    (tmp_path / "in" / "rec.atr").unlink()
    out = tmp_path / "new" / "folder"
    command = ["annotate", f"{path}{suffix}", "--output-dir", str(out), *beats]
    assert cli.main(command) == 0
    assert "detected by XQRS" in capsys.readouterr().out
    assert files_in(out) == ["rec.mmf", "rec.mmf.csv"]
    true = read_wfdb(EXCERPT, "atr").beats
    found = wfdb.rdann(str(out / "rec"), "mmf").sample
    nearest = np.abs(found[:, None] - true).min(axis=1)
    assert len(found) == pytest.approx(len(true), abs=3)
    # Where the annotators put them, not only in the same complex.
    assert np.median(nearest) <= 2 and np.quantile(nearest, 0.9) <= 20


@pytest.mark.parametrize("scale", [1000, 0.02, 1])
def test_a_unit_that_cannot_be_is_told(scale, tmp_path, capsys):
    record = read_wfdb(EXCERPT)
    path = tmp_path / "rec.csv"
    rows = [",".join(record.leads)]
    rows += [f"{a:.4f},{b:.4f}" for a, b in scale * record.signals[:10800]]
    path.write_text("\n".join(rows))
    assert cli.main(["annotate", str(path), "--fs", "360"]) == 0
    said = "MLII is" in capsys.readouterr().out
    assert said == (scale != 1)


def test_a_lost_lead_of_detection_is_told(tmp_path, capsys):
    record = read_wfdb(EXCERPT)
    signals = record.signals.copy()
    signals[7200:10800, 0] = np.nan
    path = write_record(tmp_path, signals, 360, record.leads)
    assert cli.main(["annotate", str(path)]) == 0
    assert "none in 0 min 10 s without a signal in MLII" in capsys.readouterr().out
    assert cli.main(["annotate", str(path), "--lead", "V1", "--force"]) == 0
    assert "without a signal" not in capsys.readouterr().out


@pytest.mark.parametrize("beats", ["atr", "detect"])
def test_leads_that_are_not_used_change_nothing(tmp_path, monkeypatch, beats):
    record = read_wfdb(EXCERPT, "atr")
    breath, used = np.zeros_like(record.signals[:, :1]), record.signals
    signals = np.hstack([breath, used[:, 1:], used[:, ::-1]])
    leads = ("RESP", "V1", "V5", "MLII")
    marks = (record.beats, record.symbols)
    whole = write_record(tmp_path / "a", signals, 360, leads, *marks)
    part = write_record(tmp_path / "b", used, 360, record.leads, *marks)
    kept, predict = [], RuleModel.predict_record

    def watch(self, record, **kwargs):
        kept.append(record.leads)
        return predict(self, record, **kwargs)

    monkeypatch.setattr(RuleModel, "predict_record", watch)
    for path in (whole, part):
        assert cli.main(["annotate", str(path), f"--beats={beats}"]) == 0
    assert kept == [("V1", "MLII"), ("MLII", "V1")]
    assert rows(f"{whole}.mmf.csv") == rows(f"{part}.mmf.csv")


def test_the_beats_of_a_day_fit_their_column():
    record = read_wfdb(EXCERPT)
    marks = np.tile(np.float32([1, 0, 0, 0]), (123_456, 1))
    labels = BeatLabels.from_probabilities("day", 360, np.arange(123_456), marks)
    args = SimpleNamespace(beats="atr", preset="atd_mitbih", causal=False)
    text = annotate.summary(record, labels, RuleModel(), args)
    assert "bundle branch block  123,456  100.0%" in text


def test_existing_output_is_kept_without_force(tmp_path, capsys):
    path = copy_excerpt(tmp_path)
    command = ["annotate", str(path), "--beats", "atr"]
    old = tmp_path / "rec.mmf.csv"
    old.write_text("mine")
    before = files_in(tmp_path)
    assert cli.main(command) == 2
    error = capsys.readouterr().err
    assert "--force" in error and error.count("\n") == 1
    assert old.read_text() == "mine" and files_in(tmp_path) == before
    assert cli.main([*command, "--force"]) == 0
    assert old.read_text().startswith("time_s,")


def test_a_failure_on_the_way_leaves_old_outputs_alone(tmp_path, monkeypatch):
    path = copy_excerpt(tmp_path)
    (tmp_path / "rec.mmf").write_text("mine")
    before = files_in(tmp_path)

    def fail(self, *args, **kwargs):
        raise RuntimeError("a bug")

    monkeypatch.setattr(RuleModel, "predict_record", fail)
    with pytest.raises(RuntimeError):
        cli.main(["annotate", str(path), "--beats", "atr", "--force"])
    assert files_in(tmp_path) == before
    assert (tmp_path / "rec.mmf").read_text() == "mine"


def test_a_failure_while_moving_restores_old_outputs(tmp_path, monkeypatch):
    from keras_mmfusion.cli import _outputs

    for name in "ab":
        (tmp_path / name).write_text("old")
    real, calls = _outputs.os.replace, []

    def replace(source, target):
        calls.append(target)
        if len(calls) == 4:  # aside a, a, aside b, b
            raise OSError(28, "No space left on device")
        real(source, target)

    with monkeypatch.context() as patch, pytest.raises(RecordError, match="No room"):
        patch.setattr(_outputs.os, "replace", replace)
        with _outputs.staged([tmp_path / "a", tmp_path / "b"], force=True) as parts:
            for part in parts:
                part.write_text("new")
            calls.clear()
    assert files_in(tmp_path) == ["a", "b"]
    assert {(tmp_path / name).read_text() for name in "ab"} == {"old"}


def test_classes_of_ones_own(tmp_path, capsys, monkeypatch):
    """WFDB has codes for known kinds of beats only."""
    monkeypatch.setattr(RuleModel, "classes", ("sinus", "early", "V", "fusion"))
    path = copy_excerpt(tmp_path)
    picture = tmp_path / "out.png"
    command = ["annotate", str(path), "--beats", "atr", "--plot", str(picture)]
    assert cli.main(command) == 0
    assert "(V)" in capsys.readouterr().out
    labels = [row["label"] for row in rows(f"{path}.mmf.csv")]
    assert {"sinus", "V"} <= set(labels)
    written = wfdb.rdann(str(path), "mmf")
    for label, code, note in zip(labels, written.symbol, written.aux_note, strict=True):
        assert (code, note.strip("\0")) == (("V", "") if label == "V" else ("?", label))


@pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg"])
def test_plot(tmp_path, suffix):
    path = copy_excerpt(tmp_path)
    picture = tmp_path / f"out{suffix}"
    command = ["annotate", str(path), "--beats", "atr", "--plot", str(picture)]
    assert cli.main([*command, "--window", "10", "12"]) == 0
    head = {".png": b"\x89PNG", ".pdf": b"%PDF", ".svg": b"<?xml"}[suffix]
    assert picture.read_bytes().startswith(head)


@pytest.mark.parametrize(
    "words",
    [["--causal"], ["--causal", "--preset=atd_mitbih_causal"]]
    + [["--preset=atd_mitbih_causal"]],
)
@pytest.mark.parametrize("beats", ["atr", "detect"])
def test_causal(tmp_path, capsys, loaded, words, beats):
    path = copy_excerpt(tmp_path)
    assert cli.main(["annotate", str(path), "--beats", beats, *words]) == 0
    assert loaded == ["atd_mitbih_causal"]
    out = capsys.readouterr().out
    assert "Model   atd_mitbih_causal\n" in out and "0.35 s after its R peak" in out
    assert ("looked at the whole record" in out) == (beats == "detect")


def test_lead_is_chosen_by_name(tmp_path, capsys):
    path = copy_excerpt(tmp_path)
    assert cli.main(["annotate", str(path), "--beats", "atr", "--lead", "v1"]) == 0
    assert "Leads   V1\n" in capsys.readouterr().out


def test_2_khz_gives_the_same_labels(tmp_path):
    record = read_wfdb(EXCERPT, "atr")
    signals = resample_poly(record.signals, 50, 9, axis=0)
    beats = np.rint(record.beats * 50 / 9).astype(int)
    path = write_record(tmp_path, signals, 2000, record.leads, beats, record.symbols)
    assert cli.main(["annotate", str(path), "--beats", "atr"]) == 0
    slow = copy_excerpt(tmp_path / "slow")
    assert cli.main(["annotate", str(slow), "--beats", "atr"]) == 0
    labels = [wfdb.rdann(str(p), "mmf") for p in (path, slow)]
    assert labels[0].fs == 2000
    assert labels[0].symbol == labels[1].symbol


def test_2_khz_detection(tmp_path):
    record = read_wfdb(EXCERPT, "atr")
    signals = resample_poly(record.signals, 50, 9, axis=0)
    path = write_record(tmp_path, signals, 2000, record.leads)
    assert cli.main(["annotate", str(path)]) == 0
    found = wfdb.rdann(str(path), "mmf").sample * 0.18
    nearest = np.abs(found[:, None] - record.beats).min(axis=1)
    assert np.median(nearest) <= 2


def test_one_lead_csv(tmp_path):
    record = read_wfdb(EXCERPT)
    text = "time,MLII\n" + "\n".join(
        f"{i / 360:.4f},{value:.3f}" for i, value in enumerate(record.signals[:, 0])
    )
    path = tmp_path / "ecg.v2.csv"
    path.write_text(text)
    assert cli.main(["annotate", str(path), "--fs", "360"]) == 0
    assert files_in(tmp_path) == ["ecg.v2.csv", "ecg.v2.mmf", "ecg.v2.mmf.csv"]
    assert len(rows(tmp_path / "ecg.v2.mmf.csv")) > 250
    assert len(wfdb.rdann(str(tmp_path / "ecg.v2"), "mmf").sample) > 250


@pytest.mark.parametrize("fault", ["flat", "missing samples"])
def test_an_unusable_stretch_is_labelled_q_with_the_reason(tmp_path, capsys, fault):
    record = read_wfdb(EXCERPT, "atr")
    signals = record.signals[:, :1].copy()
    signals[20 * 360 : 30 * 360] = 0.1 if fault == "flat" else np.nan
    path = write_record(tmp_path, signals, 360, ["II"], record.beats, record.symbols)
    assert cli.main(["annotate", str(path), "--beats", "atr"]) == 0
    assert fault in capsys.readouterr().out
    table = rows(f"{path}.mmf.csv")
    inside = [row for row in table if 20.5 < float(row["time_s"]) < 29.5]
    assert len(inside) > 5
    for row in inside:
        assert (row["label"], row["reason"]) == ("Q", fault)
        assert {row[f"p_{c}"] for c in "NSVF"} == {"0.0000"}
    outside = [row for row in table if not 19 < float(row["time_s"]) < 31]
    assert not any(row["reason"] for row in outside)
    assert wfdb.rdann(str(path), "mmf").symbol == [row["label"] for row in table]
    # Detection finds no beat where there is no signal.
    assert cli.main(["annotate", str(path), "--force"]) == 0
    detected = [float(row["time_s"]) for row in rows(f"{path}.mmf.csv")]
    assert len(detected) > 200
    assert not [time for time in detected if 20.5 < time < 29.5]


@pytest.mark.parametrize("fault", [0.1, np.nan])
def test_a_lead_without_signal_beside_a_good_one(tmp_path, capsys, fault):
    record = read_wfdb(EXCERPT, "atr")
    signals = record.signals.copy()
    signals[:, 0] = fault
    path = write_record(tmp_path, signals, 360, record.leads, record.beats)
    for beats in ("atr", "detect"):
        assert cli.main(["annotate", str(path), "--beats", beats, "--force"]) == 0
        labels = [row["label"] for row in rows(f"{path}.mmf.csv")]
        assert len(labels) > 200 and "Q" not in labels
        printed = capsys.readouterr().out
        assert "MLII has no signal for 2 min 30 s, and counts as missing" in printed
        assert "unit" not in printed


@pytest.mark.parametrize("count", [1, 2, 3])
def test_fewer_beats_than_a_segment(tmp_path, count):
    record = read_wfdb(EXCERPT, "atr")
    beats = record.beats[:count]
    signals = record.signals[: beats[-1] + 200]
    path = write_record(tmp_path, signals, 360, record.leads, beats)
    assert cli.main(["annotate", str(path), "--beats", "atr"]) == 0
    assert len(rows(f"{path}.mmf.csv")) == count


def test_names_that_wfdb_does_not_write(tmp_path):
    path = copy_excerpt(tmp_path / "my folder", "a b")
    header = path.with_name("a b.hea")
    header.write_text(
        header.read_text().replace("a b 2", "rec 2").replace("a b", "rec")
    )
    path.with_name("a b.dat").rename(path.with_name("rec.dat"))
    assert cli.main(["annotate", str(path), "--beats", "atr"]) == 0
    assert path.with_name("a b.mmf").is_file()


def test_demo(tmp_path, monkeypatch, capsys, loaded):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["demo"]) == 0
    captured = capsys.readouterr()
    assert captured.err == "" and loaded == ["atd_mitbih"]
    assert "record 213" in captured.out and "Confusion matrix" in captured.out
    known = presets.info("atd_mitbih")["metrics"]["interpatient"]["V_ppv"]["mean"]
    assert re.search(rf"  V .* {100 * known:.1f}%$", captured.out, re.M)
    assert (tmp_path / "demo.png").read_bytes().startswith(b"\x89PNG")
    assert cli.main(["demo"]) == 2
    assert "--force" in capsys.readouterr().err
    assert cli.main(["demo", "--force"]) == 0
    assert files_in(tmp_path) == ["demo.png"]


def test_excerpt_is_small_and_licensed():
    files = list(EXCERPT.parent.iterdir())
    assert sum(file.stat().st_size for file in files) < 400_000
    note = (EXCERPT.parent / "LICENCE-mitdb.txt").read_text(encoding="utf-8")
    assert "ODC-By 1.0" in note and "Moody" in note and "record 213" in note
    symbols = set(read_wfdb(EXCERPT, "atr").symbols)
    assert {"N", "V", "F"} < symbols and symbols & set("AaJS")


def test_excerpt_equals_the_database(data_dir):
    excerpt = read_wfdb(EXCERPT, "atr")
    whole = read_wfdb(data_dir / "mitdb" / "213", "atr")
    first, last = 340 * 360, 490 * 360
    np.testing.assert_array_equal(excerpt.signals, whole.signals[first:last])
    inside = (whole.beats >= first) & (whole.beats < last)
    np.testing.assert_array_equal(excerpt.beats, whole.beats[inside] - first)
    np.testing.assert_array_equal(excerpt.symbols, whole.symbols[inside])
