"""Bad input: exit code 2, one line on stderr that helps, and nothing written."""

import re

import numpy as np
import pytest
from backends import once
from cli_fakes import RuleModel, copy_excerpt, files_in, write_beats, write_record

from keras_mmfusion import cli, presets
from keras_mmfusion.analysis import BeatLabels
from keras_mmfusion.cli.demo import EXCERPT
from keras_mmfusion.datasets import read_wfdb

pytestmark = once


@pytest.fixture(autouse=True)
def fake_preset(monkeypatch):
    monkeypatch.setattr(presets, "load", lambda name: RuleModel(), raising=False)


@pytest.fixture
def refused(tmp_path, capsys):
    """Run a command that has to fail and compare its message."""

    def run(pattern, *command):
        before = files_in(tmp_path)
        assert cli.main([str(word) for word in command]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("mmfusion: error: ")
        assert captured.err.count("\n") == 1 and len(captured.err) < 500
        assert re.search(pattern, captured.err), captured.err
        assert files_in(tmp_path) == before
        return captured.err

    return run


@pytest.fixture
def path(tmp_path):
    return copy_excerpt(tmp_path)


def test_no_record(tmp_path, refused):
    refused(r"No header at .*nothing\.hea", "annotate", tmp_path / "nothing")
    refused(
        r"No file at .*nothing\.csv", "annotate", tmp_path / "nothing.csv", "--fs=1"
    )


@pytest.mark.parametrize("command", ["annotate", "evaluate"])
@pytest.mark.parametrize("nameless", ["", ".", "/"])
def test_no_name(refused, command, nameless):
    refused(f"such as mitdb/100.*Received: '{nameless}'", command, nameless)


def test_missing_dat(path, refused):
    path.with_suffix(".dat").unlink()
    refused(r"No signal file at .*rec\.dat", "annotate", path)


def test_truncated_dat(path, refused):
    data = path.with_suffix(".dat")
    data.write_bytes(data.read_bytes()[:100_001])
    refused("truncated.*Download", "annotate", path)


@pytest.mark.parametrize("samples", [54_001, 10**18])
def test_header_of_more_than_there_is(path, refused, samples):
    header = path.with_suffix(".hea")
    header.write_text(header.read_text().replace(" 54000", f" {samples}"))
    refused("truncated or corrupt.*Download", "annotate", path)


def test_empty_dat(path, refused):
    path.with_suffix(".dat").write_bytes(b"")
    refused("truncated.*Download", "annotate", path)


def test_corrupt_byte(path, refused):
    data = path.with_suffix(".dat")
    content = bytearray(data.read_bytes())
    content[50_000] ^= 0x10
    data.write_bytes(content)
    refused("checksum.*Download", "annotate", path, "--beats", "atr")
    command = ["annotate", str(path), "--beats", "atr", "--no-verify"]
    assert cli.main(command) == 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "garbage",
        "rec two 360\n",
        "rec 2 360 54000\n",
        "\0\1\2\xff",
        "rec 0\n",
    ],
)
def test_garbage_header(path, refused, text):
    path.with_suffix(".hea").write_text(text, encoding="latin-1")
    refused("header|no signals|truncated or corrupt", "annotate", path)


def test_a_header_that_leads_out_of_the_folder_is_no_crash(path, refused):
    header = path.with_suffix(".hea")
    header.write_text(header.read_text().replace("rec.dat", "../../none.dat"))
    refused("not a readable WFDB header", "annotate", path)


def test_garbage_annotations(path, refused):
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, 600, dtype="uint8").tobytes()
    for content in (b"", b"\0\0", noise, b"not an annotation file"):
        path.with_suffix(".atr").write_bytes(content)
        refused(
            "holds no heart beat|truncated|another record|marks only",
            *("annotate", path, "--beats", "atr"),
        )


def test_truncated_annotations(path, refused):
    """Of half the file the beats would be read, and of the rest nothing be said."""
    file = path.with_suffix(".atr")
    content = file.read_bytes()
    for length in (len(content) // 2, len(content) // 2 + 1, len(content) - 2):
        file.write_bytes(content[:length])
        refused("rec.atr is truncated.*Download", "annotate", path, "--beats", "atr")
        refused("rec.atr is truncated.*Download", "evaluate", path)


@pytest.mark.parametrize("command", ["annotate --beats", "evaluate --reference"])
def test_extensions_may_have_a_point(path, command):
    command, option = command.split()
    assert cli.main([command, str(path), option, ".atr"]) == 0


@pytest.mark.parametrize("source", ["detect", "xqrs"])
def test_detection_is_no_reference(path, refused, source):
    refused("labels to compare with. Received", "evaluate", path, "--reference", source)


def test_missing_annotations(path, refused):
    refused(r"No annotation file at .*rec\.ecg", "annotate", path, "--beats", "ecg")
    path.with_suffix(".atr").unlink()
    refused(r"No annotation file at .*rec\.atr", "evaluate", path)


def test_no_beats_in_the_annotations(path, refused):
    write_beats(path.parent, [100, 200], ["+", "~"])
    refused("no heart beat.*--beats detect", "annotate", path, "--beats", "atr")


def test_no_beats_in_the_signal(tmp_path, refused):
    noise = np.random.default_rng(0).normal(0, 1e-3, (7200, 1))
    refused("No heart beat", "annotate", write_record(tmp_path, noise, 360, ["II"]))
    dead = write_record(tmp_path, np.full((7200, 1), 0.2), 360, ["II"], name="dead")
    refused("No heart beat.*--lead", "annotate", dead)
    gone = write_record(tmp_path, np.full((7200, 1), np.nan), 360, ["II"], name="gone")
    refused("No heart beat", "annotate", gone)
    short = write_record(tmp_path, noise[:20], 360, ["II"], name="short")
    refused("No heart beat", "annotate", short)


@pytest.mark.parametrize("fault", [0.1, np.nan])
def test_no_signal_at_any_beat(tmp_path, refused, fault):
    good = read_wfdb(EXCERPT, "atr")
    signals = good.signals.copy()
    signals[:, 1] = fault
    path = write_record(tmp_path, signals, 360, good.leads, good.beats)
    what = "missing samples" if np.isnan(fault) else "flat"
    message = f"No beat .*V1 must have.*Received: {what} at all .*--lead"
    refused(message, "annotate", path, "--beats", "atr", "--lead", "V1")


def test_annotations_of_another_record(path, refused):
    beats = read_wfdb(path, "atr").beats
    random = np.random.default_rng(0)
    intervals = random.permutation(np.diff(beats))
    write_beats(path.parent, np.concatenate([beats[:1], beats[0] + intervals.cumsum()]))
    refused("another record.*--beats detect", "annotate", path, "--beats", "atr")
    refused("another record", "evaluate", path)
    write_beats(path.parent, [100, 54_000])
    refused("another record", "annotate", path, "--beats", "atr")


def test_annotations_made_for_another_rate(path, refused):
    import wfdb

    beats = read_wfdb(path, "atr").beats
    symbols = ["N"] * len(beats)
    wfdb.wrann("rec", "atr", beats, symbol=symbols, fs=250, write_dir=str(path.parent))
    refused("250 Hz.*360 Hz", "annotate", path, "--beats", "atr")


def test_unknown_lead(path, refused):
    refused("no lead 'aVR'.*MLII, V1", "annotate", path, "--lead", "aVR")


def test_too_many_leads(path, refused):
    leads = ["--lead", "MLII", "--lead", "V1", "--lead", "V1"]
    refused("2 leads", "annotate", path, "--beats", "atr", *leads)
    refused("used once", "annotate", path, "--beats", "atr", *leads[2:])


@pytest.mark.parametrize("beats", ["atr", "detect"])
def test_60_hz(tmp_path, refused, beats):
    signals = read_wfdb(EXCERPT).signals[::6]
    path = write_record(tmp_path, signals, 60, ["MLII", "V1"], [30, 90, 150])
    refused("60 Hz.*at least 100 Hz", "annotate", path, "--beats", beats)


def test_folder_that_cannot_be_written(path, refused):
    blocked = path.with_suffix(".dat") / "below" / "a file"
    refused("Cannot write", "annotate", path, "--output-dir", blocked)
    refused("Cannot write", "annotate", path, "--plot", blocked / "out.png")
    refused("Cannot write", "evaluate", path, "--csv", blocked / "out.csv")
    refused("Cannot write", "demo", "--output", blocked / "demo.png")


def test_no_room_left(path, refused, monkeypatch):
    """It is said of which files, and nothing stays."""

    def full(self, file):
        file.write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(BeatLabels, "to_csv", full)
    line = refused("No room left to write", "annotate", path, "--beats", "atr")
    assert "rec.mmf.csv" in line and "write elsewhere" in line


def test_no_memory_left(path, refused, monkeypatch):
    def full(self, file):
        raise MemoryError("Unable to allocate 9 GiB")

    monkeypatch.setattr(BeatLabels, "to_csv", full)
    refused("not enough memory: free.*9 GiB", "annotate", path, "--beats", "atr")


def test_output_that_exists(path, refused):
    picture = path.with_name("out.png")
    picture.write_text("mine")
    refused("exists.*--force", "annotate", path, "--plot", picture)
    refused("exists.*--force", "evaluate", path, "--csv", picture)
    refused("exists.*--force", "demo", "--output", picture)
    folder = path.with_name("folder.png")
    folder.mkdir()
    refused("is a folder", "demo", "--output", folder, "--force")
    assert picture.read_text() == "mine"


@pytest.mark.parametrize("suffix", [".dat", ".hea", ".atr", ".csv"])
def test_output_that_is_what_is_read(path, refused, suffix):
    file = path.with_suffix(suffix)
    if suffix == ".csv":
        file.write_text("MLII\n0.1\n0.2\n")
    content = file.read_bytes()
    refused("is what is read", "evaluate", path, "--csv", file, "--force")
    assert file.read_bytes() == content


def test_annotations_are_not_replaced_by_what_is_made_of_them(path, refused):
    file = path.with_suffix(".mmf")
    file.write_bytes(path.with_suffix(".atr").read_bytes())
    content = file.read_bytes()
    refused("is what is read", "annotate", path, "--beats", "mmf", "--force")
    assert file.read_bytes() == content
    folder = ("--output-dir", str(path.parent / "new"))
    assert cli.main(["annotate", str(path), "--beats", "mmf", *folder]) == 0


@pytest.mark.parametrize("rate", ["0", "-360", "nan", "inf", "fast", ""])
def test_wrong_rate(tmp_path, refused, rate):
    refused("--fs", "annotate", tmp_path / "x.csv", f"--fs={rate}")


def test_rate_where_it_does_not_belong(path, refused):
    refused("--fs is for CSV", "annotate", path, "--fs", "360")


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("", "header"),
        ("0.1,0.2\n0.1,0.3\n", "header"),
        ("MLII,V1\n", "no lead"),
        ("MLII,V1\na,b\nc,d\n", "no number"),
        ("MLII\n1e8\n-2e30\n", "no number .* that could be millivolts"),
        ("MLII,V1\n1,2\n1,2,3\n", "not a table"),
        ("Name,X\nRate,512\n\nLead I\n0.1\n", "line 4.*before the header"),
        ("MLII,V1\n1\n2\n", "expected 2 columns.*1 in line 2"),
        ("time\n1\n2\n", "no lead"),
        ("MLII;V1\n0.1;0.2\n0.2;0.3\n", "no number.*commas"),
        ("0.1,\n0.2,\n", "header"),
        ('"MLII\n' + "0.1\n" * 50_000, "not a table"),
        ("time [s],t,'sample #'\n0,0,0\n1,1,1\n", "no lead"),
        ("t;MLII\n0,1;0,2\n0,2;0,3\n", "expected 1 columns.*by commas.*a point"),
        ("MLII\n0,2\n0,3\n", "expected 1 columns.*by commas.*a point"),
        ('MLII\n1\n"0,2"\n', "Received: '0,2' in line 3.*with a point"),
        ("time\tMLII\n0.1\t0.2\n0.2\t0.3\n", "no lead.*Part columns by commas"),
    ],
)
def test_csv_that_holds_no_ecg(tmp_path, refused, text, pattern):
    path = tmp_path / "ecg.csv"
    path.write_text(text)
    refused(pattern, "annotate", path, "--fs", "360")


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_csv_in_another_encoding(tmp_path, refused, encoding):
    path = tmp_path / "ecg.csv"
    path.write_text("Dérivation II\n0.1\n0.2\n", encoding=encoding)
    refused("not in UTF-8.*Save it as", "annotate", path, "--fs", "360")


def test_csv_with_some_text(tmp_path, refused):
    values = read_wfdb(EXCERPT).signals[:3600, 0]
    cells = [f"{value:.3f}" for value in values]
    cells[1000] = "error"
    path = tmp_path / "ecg.csv"
    path.write_text("MLII\n" + "\n".join(cells))
    assert cli.main(["annotate", str(path), "--fs", "360"]) == 0


def test_csv_without_rate(tmp_path, refused):
    path = tmp_path / "ecg.csv"
    path.write_text("MLII\n0.1\n0.2\n")
    refused("--fs 360", "annotate", path)


@pytest.mark.parametrize(
    "window", [("-1", "10"), ("0", "0"), ("0", "1e9"), ("1e5", "9")]
)
def test_window(path, refused, window):
    picture = path.with_name("out.png")
    refused("window", "annotate", path, "--plot", picture, "--window", *window)


def test_window_without_plot(path, refused):
    refused("--plot", "annotate", path, "--window", "0", "10")


def test_picture_of_unknown_kind(path, refused):
    refused(r"\.png", "annotate", path, "--plot", path.with_name("out.docx"))


def test_unknown_preset(path, refused, monkeypatch):
    monkeypatch.undo()
    refused("no_such_model", "annotate", path, "--preset", "no_such_model")
    refused("no_such_model", "presets", "info", "no_such_model")


def test_no_arguments(refused):
    refused("COMMAND", *[])
    refused("RECORD", "annotate")
    refused("invalid choice", "explode")


def test_missing_matplotlib(path, refused, monkeypatch):
    import sys

    # The part too: another test of this process may have brought it in.
    for name in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, name, None)
    picture = path.with_name("out.png")
    refused(r"mmfusion\[ecg\]", "annotate", path, "--plot", picture)
    refused(r"mmfusion\[ecg\]", "demo", "--output", picture)
    refused(r"mmfusion\[digits\]", "classify-digit", "7.png", "--plot", picture)
    refused(r"mmfusion\[plots\]", "search", "x", "--images", ".", "--plot", picture)


def test_missing_wfdb(path, refused, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "wfdb", None)
    refused(r"pip install 'keras_mmfusion\[ecg\]'", "annotate", path)
