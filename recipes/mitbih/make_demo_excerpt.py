"""Cut the excerpt that `mmfusion demo` labels out of the MIT-BIH database.

    python recipes/mitbih/make_demo_excerpt.py [--data /path/to/data]

It is a stretch of 150 s of a DS2 record (a patient no model is trained on) chosen
by its annotations alone: among all stretches that start at a multiple of 10 s, have
more N beats than others and some of each of S, V and F, the one whose rarest of
these three classes is most frequent, then the one with the most of all three.
"""

import argparse
from pathlib import Path

import numpy as np
import wfdb

from keras_mmfusion.datasets.mitbih import DS2, URL, aami_labels, find_mitbih

SECONDS, STEP = 150, 10
TARGET = Path(__file__).parents[2] / "keras_mmfusion" / "data"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", help="folder with mitdb (KERAS_MMFUSION_DATA)")
    parser.add_argument("--output-dir", type=Path, default=TARGET)
    args = parser.parse_args()
    folder = find_mitbih(args.data)
    record, start, counts = choose(folder)
    for old in args.output_dir.glob("mitdb_*"):
        old.unlink()
    cut(folder / record, start, args.output_dir)
    note = licence_note(record, start, counts)
    (args.output_dir / "LICENCE-mitdb.txt").write_text(note, encoding="utf-8")
    print(note)


def choose(folder):
    """Record, first second and class counts of the best stretch."""
    best = None
    for record in DS2:
        annotation = wfdb.rdann(str(folder / record), "atr")
        classes = aami_labels(annotation.symbol)
        times = annotation.sample / annotation.fs
        for start in range(0, 1800 - SECONDS, STEP):
            inside = (times >= start) & (times < start + SECONDS) & (classes >= 0)
            n, s, v, f, q = np.bincount(classes[inside], minlength=5).tolist()
            if n <= s + v + f or min(s, v, f) == 0 or q:
                continue
            rank = (min(s, v, f), s + v + f)
            if best is None or rank > best[0]:
                best = (
                    rank,
                    (record, start, dict(zip("NSVF", (n, s, v, f), strict=True))),
                )
    return best[1]


def cut(path, start, target):
    """Write the stretch as a WFDB record of its own, with the same digital values."""
    name = f"mitdb_{path.name}"
    fs = wfdb.rdheader(str(path)).fs
    first, last = start * fs, (start + SECONDS) * fs
    source = wfdb.rdrecord(str(path), sampfrom=first, sampto=last, physical=False)
    target.mkdir(parents=True, exist_ok=True)
    wfdb.wrsamp(
        name,
        fs=fs,
        units=source.units,
        sig_name=source.sig_name,
        d_signal=source.d_signal,
        fmt=source.fmt,
        adc_gain=source.adc_gain,
        baseline=source.baseline,
        comments=[
            f"MIT-BIH Arrhythmia Database record {path.name}, {start}-"
            f"{start + SECONDS} s; ODC-By 1.0, see LICENCE-mitdb.txt"
        ],
        write_dir=str(target),
    )
    beats = wfdb.rdann(
        str(path), "atr", sampfrom=first, sampto=last - 1, shift_samps=True
    )
    is_beat = aami_labels(beats.symbol) >= 0
    wfdb.wrann(
        name,
        "atr",
        beats.sample[is_beat],
        symbol=np.array(beats.symbol)[is_beat].tolist(),
        fs=fs,
        write_dir=str(target),
    )


def licence_note(record, start, counts):
    text = ", ".join(f"{count} {name}" for name, count in counts.items())
    return f"""\
mitdb_{record}.dat, mitdb_{record}.hea and mitdb_{record}.atr are an excerpt of the

    MIT-BIH Arrhythmia Database, version 1.0.0, {URL}
    Moody GB, Mark RG. The impact of the MIT-BIH Arrhythmia Database.
    IEEE Eng in Med and Biol 20(3):45-50 (May-June 2001).
    Goldberger A, et al. PhysioBank, PhysioToolkit, and PhysioNet.
    Circulation 101(23):e215-e220 (2000).

made available under the Open Data Commons Attribution License v1.0 (ODC-By 1.0,
https://opendatacommons.org/licenses/by/1-0/). This licence, not that of the package,
covers the three files.

What was cut: record {record} (of DS2, not used for training), seconds {start} to
{start + SECONDS}, both leads, samples unchanged, 360 Hz, format 212. Of the annotations
only the beats were kept, with the cardiologists' codes: {text}
by AAMI class. The stretch was chosen by its annotations alone, by
recipes/mitbih/make_demo_excerpt.py.
"""


if __name__ == "__main__":
    main()
