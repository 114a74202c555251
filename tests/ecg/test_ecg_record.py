from dataclasses import replace

import numpy as np
import pytest
from backends import once
from cli_fakes import copy_excerpt, write_beats, write_record

from keras_mmfusion.analysis import BeatLabels, plot_beats
from keras_mmfusion.analysis.beat_plot import liveliest_window
from keras_mmfusion.cli.demo import EXCERPT
from keras_mmfusion.datasets import (
    ECGRecord,
    RecordError,
    read_beats,
    read_wfdb,
)
from keras_mmfusion.metrics import match_beats
from keras_mmfusion.preprocessing import BeatPreprocessor
from keras_mmfusion.preprocessing.beat_detection import check_alignment, detect_beats

pytestmark = once


@pytest.fixture(scope="module")
def record():
    return read_wfdb(EXCERPT, "atr")


def test_read_wfdb(record):
    import wfdb

    expected = wfdb.rdrecord(str(EXCERPT))
    np.testing.assert_allclose(record.signals, expected.p_signal, atol=1e-5)
    assert record.signals.dtype == np.float32
    assert record.leads == ("MLII", "V1") and record.fs == 360
    assert record.duration == 150
    assert record.lead_index("v1") == 1
    assert len(record.beats) == len(record.symbols) == 274
    assert np.all(np.diff(record.beats) > 0)


def test_beats_only_on_request():
    assert read_wfdb(EXCERPT).beats is None


@pytest.mark.parametrize("units", ["uV", "V", "mV", "\u00b5V", "\u03bcV", "microvolts"])
def test_units_become_millivolts(tmp_path, units):
    import wfdb

    scale = {"V": 1e-3, "mV": 1.0}.get(units, 1e3)
    values = np.sin(np.arange(720) / 20)[:, None]
    wfdb.wrsamp(
        "rec",
        fs=360,
        units=[units],
        sig_name=["II"],
        p_signal=values * scale,
        fmt=["16"],
        write_dir=str(tmp_path),
    )
    np.testing.assert_allclose(read_wfdb(tmp_path / "rec").signals, values, atol=1e-3)


def test_missing_samples_are_nan(tmp_path):
    values = np.sin(np.arange(720) / 20)[:, None]
    values[100:200] = np.nan
    signals = read_wfdb(write_record(tmp_path, values, 360, ["II"])).signals
    np.testing.assert_array_equal(np.isnan(signals), np.isnan(values))


@pytest.mark.parametrize("fmt", ["24", "32", "80"])
def test_missing_samples_of_other_formats_are_nan(tmp_path, fmt):
    import wfdb

    values = np.sin(np.arange(720) / 20)[:, None] * 0.5
    values[100:200] = np.nan
    wfdb.wrsamp(
        "rec",
        fs=360,
        units=["mV"],
        sig_name=["II"],
        p_signal=values,
        fmt=[fmt],
        write_dir=str(tmp_path),
    )
    signals = read_wfdb(tmp_path / "rec").signals
    np.testing.assert_array_equal(np.isnan(signals), np.isnan(values))


def waves(length, leads=2):
    return np.sin(np.arange(length)[:, None] / (20 + np.arange(leads)))


def test_impossible_samples_are_nan(tmp_path):
    path = write_record(tmp_path, waves(720, 1), 360, ["II"])
    header = path.with_suffix(".hea")
    # At this gain the smallest step is 1e7 mV.
    header.write_text(header.read_text().replace("2000.0(0)/mV", "1e-7(0)/mV"))
    signals = read_wfdb(path).signals
    assert np.isnan(signals).mean() > 0.9 and np.nanmax(np.abs(signals)) <= 1e7


def test_leads_without_a_description(tmp_path):
    path = write_record(tmp_path, waves(720), 360, ["II", "V1"])
    header = path.with_suffix(".hea")
    header.write_text(header.read_text().replace(" II", ""))
    record = read_wfdb(path)
    assert record.leads == ("lead_1", "V1") and record.lead_index("LEAD_1") == 0
    header.write_text(header.read_text().replace(" V1", ""))
    record = replace(read_wfdb(path), beats=np.array([300]))
    assert BeatPreprocessor()(record).leads == ("lead_1", "lead_2")


def test_two_leads_of_one_name(tmp_path):
    """As Holter recordings have them; in segments, one took the place of the other."""
    path = write_record(tmp_path, waves(400), 360, ["ECG", "b"], name="a")
    header = path.with_suffix(".hea")
    header.write_text(header.read_text().replace(" b\n", " ECG\n"))
    write_header(tmp_path / "rec", "rec/2 2 360 800", "a 400", "a 400")
    for record in (read_wfdb(path), read_wfdb(tmp_path / "rec")):
        assert record.leads == ("ECG", "ECG_2") and record.lead_index("ecg_2") == 1
        np.testing.assert_allclose(record.signals[:400], waves(400), atol=1e-3)


@pytest.fixture
def segments(tmp_path):
    """Two segments of 400 and 500 samples, of which the second has one lead only."""
    write_record(tmp_path, waves(400), 360, ["II", "V1"], name="a")
    write_record(tmp_path, waves(500, 1), 360, ["II"], name="b")
    return tmp_path / "rec"


def write_header(path, first, *segments):
    path.with_suffix(".hea").write_text("\n".join([first, *segments, ""]))


def test_segments_are_joined(segments):
    write_header(segments, "rec/3 2 360 1000", "a 400", "~ 100", "b 500")
    write_beats(segments.parent, [100, 950])
    record = read_wfdb(segments, "atr")
    assert record.leads == ("II", "V1") and record.name == "rec"
    expected = np.full((1000, 2), np.nan)
    expected[:400], expected[500:, :1] = waves(400), waves(500, 1)
    np.testing.assert_allclose(record.signals, expected, atol=1e-3)
    assert record.beats.tolist() == [100, 950]


@pytest.mark.parametrize(
    "lines,message",
    [
        (("rec/2 2 360 900", "a 400", "c 500"), r"No header at .*c\.hea"),
        (("rec/2 2 360 900", "a 300", "b 600"), "400 samples, but .* says 300"),
        (("rec/2 2 250 900", "a 400", "b 500"), "at 250 Hz. Received: 360 Hz"),
        (("rec/2 2 360 900", "a 400", "rec 500"), "Received: 360 Hz, with segments"),
        (("rec/1 2 360 900", "~ 900"), "no segments with signals"),
    ],
)
def test_segments_that_do_not_fit(segments, lines, message):
    write_header(segments, *lines)
    with pytest.raises(RecordError, match=message):
        read_wfdb(segments)


def test_leads_of_different_rates(tmp_path):
    import wfdb

    fast, slow = waves(1440, 1), waves(720, 1)
    fast[400] = np.nan
    wfdb.wrsamp(
        "rec",
        fs=360,
        units=["mV", "mV"],
        sig_name=["II", "V1"],
        e_p_signal=[fast[:, 0], slow[:, 0]],
        samps_per_frame=[2, 1],
        fmt=["16", "16"],
        write_dir=str(tmp_path),
    )
    record = read_wfdb(tmp_path / "rec")
    means = fast.reshape(-1, 2).mean(axis=1, keepdims=True)
    expected = np.concatenate([means, slow], axis=1)
    np.testing.assert_allclose(record.signals, expected, atol=1e-3)
    assert record.fs == 360 and np.isnan(record.signals[200, 0])


def test_comments_are_no_beats(tmp_path, record):
    path = copy_excerpt(tmp_path)
    write_beats(tmp_path, [100, 200, 300], ["+", "N", "~"])
    beats, symbols = read_beats(path, "atr")
    assert beats.tolist() == [200] and symbols.tolist() == ["N"]


def test_checksum_can_be_ignored(tmp_path):
    path = copy_excerpt(tmp_path)
    content = bytearray(path.with_suffix(".dat").read_bytes())
    content[1000] ^= 1
    path.with_suffix(".dat").write_bytes(content)
    with pytest.raises(RecordError, match="checksum"):
        read_wfdb(path)
    assert read_wfdb(path, verify=False).duration == 150


class TestDetection:
    def test_sits_where_the_annotators_put_the_beats(self, record):
        found = detect_beats(record)
        mine, theirs = match_beats(record.beats, found, record.fs)
        assert found.dtype == np.int64 and np.all(np.diff(found) > 0)
        assert len(mine) >= 0.99 * len(record.beats)
        assert len(theirs) >= 0.99 * len(found)
        distance = np.abs(record.beats[mine] - found[theirs]) / record.fs
        assert np.median(distance) <= 0.003

    def test_upside_down(self, record):
        turned = replace(record, signals=-record.signals)
        np.testing.assert_array_equal(detect_beats(turned), detect_beats(record))

    def test_stretches_do_not_show(self, record, monkeypatch):
        from keras_mmfusion.preprocessing import beat_detection

        whole, calls = detect_beats(record), []
        monkeypatch.setattr(beat_detection, "_CHUNK", 40.0)
        parts = detect_beats(record, progress=lambda *call: calls.append(call))
        assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]
        assert len(match_beats(whole, parts, 360.0, 0.01)[0]) >= len(whole) - 2

    def test_missing_and_flat_stretches(self, record):
        signals = record.signals[:, :1].copy()
        signals[7200:10800] = np.nan
        signals[18000:21600] = 0.3
        damaged = ECGRecord("damaged", signals, ("MLII",), 360.0)
        found, whole = detect_beats(damaged), detect_beats(record)
        gap = ((found > 7200) & (found < 10800)) | ((found > 18000) & (found < 21600))
        assert not gap.any()
        inside = ((whole > 6800) & (whole < 11200)) | (
            (whole > 17600) & (whole < 22000)
        )
        kept = whole[~inside]
        assert len(match_beats(kept, found, 360.0, 0.01)[0]) >= len(kept) - 2

    def test_a_spike_hides_no_beats(self, record):
        signals = record.signals.copy()
        signals[9000:9030] = -32768
        whole, found = (
            detect_beats(record),
            detect_beats(replace(record, signals=signals)),
        )
        assert len(match_beats(whole, found, 360.0, 0.01)[0]) >= len(whole) - 3

    def test_named_lead(self, record):
        assert len(detect_beats(record, lead="v1")) > 250
        with pytest.raises(RecordError, match="no lead"):
            detect_beats(record, lead="aVF")


class TestAlignment:
    def test_own_beats(self, record):
        assert check_alignment(record) > 0.85

    @pytest.mark.parametrize("shift", [-100, -60, 90, 130])
    def test_shifted_beats(self, record, shift):
        beats = record.beats + shift
        beats = beats[(beats >= 0) & (beats < len(record.signals))]
        with pytest.raises(RecordError, match="another record"):
            check_alignment(replace(record, beats=beats))

    def test_noise_is_no_reason(self, record):
        noise = np.random.default_rng(0).normal(0, 0.5, record.signals.shape)
        noisy = replace(record, signals=record.signals + noise.astype("float32"))
        assert check_alignment(noisy) > 0.6

    def test_nothing_to_check(self, record):
        assert np.isnan(check_alignment(replace(record, beats=record.beats[:2])))
        flat = replace(record, signals=np.zeros_like(record.signals))
        assert np.isnan(check_alignment(flat))

    def test_every_record_of_the_database(self, data_dir):
        from keras_mmfusion.datasets.mitbih import RECORDS

        names = RECORDS[::6]
        records = [read_wfdb(data_dir / "mitdb" / name, "atr") for name in names]
        for own, other in zip(records, records[1:] + records[:1], strict=True):
            assert check_alignment(own) > 0.85
            with pytest.raises(RecordError, match="another record"):
                check_alignment(replace(own, beats=other.beats))


class TestLabels:
    @pytest.fixture
    def labels(self):
        probabilities = [[0.9, 0.1, 0, 0], [0.2, 0.8, 0, 0], [np.nan] * 4, [0, 0, 1, 0]]
        return BeatLabels.from_probabilities(
            "demo",
            360.0,
            [180, 540, 900, 1260],
            probabilities,
            reasons=["", "", "", "flat"],
            leads=("MLII",),
        )

    def test_unusable_beats_are_q_and_never_nan(self, labels):
        assert labels.labels.tolist() == ["N", "S", "Q", "Q"]
        assert labels.reasons.tolist() == ["", "", "no finite probability", "flat"]
        assert np.isfinite(labels.probabilities).all()
        assert not labels.probabilities[2:].any()
        assert labels.probabilities.dtype == np.float32
        assert labels.times.tolist() == [0.5, 1.5, 2.5, 3.5]

    def test_counts_and_burden(self, labels):
        assert labels.counts() == {"N": 1, "S": 1, "V": 0, "F": 0, "Q": 2}
        assert labels.ectopic_per_hour(1800) == {"S": 2.0, "V": 0.0, "F": 0.0}

    def test_files(self, labels, tmp_path):
        import wfdb

        labels.to_wfdb(tmp_path / "a b.mmf")
        labels.to_csv(tmp_path / "a.csv")
        read = wfdb.rdann(str(tmp_path / "a b"), "mmf")
        assert read.symbol == labels.labels.tolist()
        assert read.sample.tolist() == labels.samples.tolist() and read.fs == 360
        lines = (tmp_path / "a.csv").read_text().splitlines()
        assert lines[0] == "time_s,sample,label,reason,p_N,p_S,p_V,p_F"
        assert lines[4] == "3.5000,1260,Q,flat,0.0000,0.0000,0.0000,0.0000"
        assert len(list(tmp_path.iterdir())) == 2

    def test_liveliest_window(self, record):
        marks = np.zeros((len(record.beats), 4))
        marks[:, 0] = 1
        marks[200:203] = [0, 0, 1, 0]
        labels = BeatLabels.from_probabilities("x", 360.0, record.beats, marks)
        start, length = liveliest_window(labels, record.duration)
        assert start < labels.times[200] < labels.times[202] < start + length
        assert liveliest_window(labels, 12.0)[1] == 12.0


class TestPicture:
    @pytest.fixture
    def labels(self, record):
        marks = np.tile(np.float32([0.7, 0.1, 0.1, 0.1]), (len(record.beats), 1))
        return BeatLabels.from_probabilities(
            record.name, record.fs, record.beats, marks, leads=("MLII",)
        )

    def test_true_to_scale(self, record, labels):
        figure = plot_beats(record, labels, 10, 20)
        paper = figure.axes[0]
        width, height = figure.get_size_inches() * 25.4
        box = paper.get_position()
        assert box.width * width == pytest.approx(10 * 25)  # 25 mm/s
        low, high = paper.get_ylim()
        per_millivolt = box.height * height / (high - low)
        assert min(abs(per_millivolt - 10), abs(per_millivolt - 5)) < 1e-6

    def test_letters(self, record, labels):
        reference = ["V"] * len(labels)
        axes = plot_beats(record, labels, 0, 10, reference).axes[0]
        letters = [text.get_text() for text in axes.texts]
        shown = int((labels.times < 10).sum())
        assert letters.count("N") == shown == letters.count("V")

    def test_classes_of_ones_own_have_colours_of_their_own(self, record, labels):
        own = replace(labels, classes=("sinus", "PVC", "V", "other"))
        legend = plot_beats(record, own, 0, 10).legends[0]
        colours = [patch.get_facecolor() for patch in legend.get_patches()]
        assert len(set(colours)) == 5  # Q too

    def test_liveliest_window_of_classes_of_ones_own(self, record, labels):
        words = np.full(len(labels), "sinus")
        words[200:203] = "PVC"
        own = replace(labels, labels=words, classes=("sinus", "PVC", "a", "b"))
        start, length = liveliest_window(own, record.duration)
        assert start < own.times[200] < own.times[202] < start + length

    @pytest.mark.parametrize("window", [(145, 30), (0, 0.5), (149.9, 5)])
    def test_short_windows(self, record, labels, window, tmp_path):
        plot_beats(record, labels, *window).savefig(tmp_path / "x.png", dpi=40)

    @pytest.mark.parametrize("duration", [1.5, 6, 30])
    def test_the_legend_is_beside_or_below_the_titles(self, record, labels, duration):
        figure = plot_beats(record, labels, 0, duration, ["V"] * len(labels))
        box = figure.legends[0].get_window_extent()
        for text in figure.texts:
            assert not box.overlaps(text.get_window_extent()), text
        assert not box.overlaps(figure.axes[0].get_tightbbox())
        assert box.x0 >= 0 and box.x1 <= figure.bbox.x1

    def test_no_signal(self, record, labels, tmp_path):
        dead = replace(record, signals=np.full_like(record.signals, np.nan))
        plot_beats(dead, labels, 0, 10).savefig(tmp_path / "x.png", dpi=40)

    def test_a_lead_with_a_signal_is_drawn(self, record, labels):
        signals, both = record.signals.copy(), replace(labels, leads=record.leads)
        signals[: 10 * 360, 0] = np.nan
        figure = plot_beats(replace(record, signals=signals), both, 0, 10)
        assert "V1" in [text.get_text() for text in figure.axes[0].texts]

    def test_wrong_arguments(self, record, labels):
        with pytest.raises(ValueError, match="inside the record"):
            plot_beats(record, labels, 1000, 10)
        with pytest.raises(ValueError, match="one reference label"):
            plot_beats(record, labels, 0, 10, reference=["N"])
