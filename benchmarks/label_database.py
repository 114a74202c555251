"""Label the whole MIT-BIH database, and compare with a plain loop over beats.

    KERAS_BACKEND=jax python benchmarks/label_database.py > label_database.csv

Reading, preprocessing and labelling of all 109,494 beats. The loop reads and cuts the
same beats the way most public notebooks do: physical signals, one beat at a time,
lists that grow. Both are timed in turn, `ratio` is the median over the turns. The
labels of one turn compile the model and are left out of the medians (`first`).
"""

import argparse
import csv
import os
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import wfdb
from scipy import signal

os.environ.setdefault("KERAS_BACKEND", "jax")

from keras_mmfusion.datasets import mitbih

CLASSES = ("N", "S", "V", "F")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--preset", default="atd_mitbih")
    parser.add_argument(
        "--untrained", action="store_true", help="the model of the recipe instead"
    )
    parser.add_argument("--data", help="folder with mitdb/")
    parser.add_argument("--records", nargs="+", default=mitbih.RECORDS)
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    folder = mitbih.find_mitbih(args.data)
    start = time.perf_counter()
    model = untrained() if args.untrained else load(args.preset)
    first = {"load the model": time.perf_counter() - start}
    turns = []
    for turn in range(args.runs + 1):
        seconds, beats = package(model, args.records, folder)
        if turn == 0:
            first["label, first time"] = seconds["label"]
            continue
        seconds["loop: read and cut"], cut = timed(notebook, folder, args.records)
        seconds["ratio: loop / package"] = (
            seconds["loop: read and cut"] / seconds["read and cut"]
        )
        # It drops the beats at both ends of a record.
        assert beats * 0.99 < cut <= beats, (beats, cut)
        turns.append(seconds)
    write({k: [v] for k, v in first.items()}, beats)
    write({k: [turn[k] for turn in turns] for k in turns[0]}, beats, header=False)


def package(model, records, folder):
    """`(seconds of each stage, beats)` with this package."""
    read, recordings = timed(mitbih.load_mitbih, records, folder)
    cut, inputs = timed(lambda: [model.preprocessor(r) for r in recordings])
    label, outputs = timed(
        lambda: [model.predict_beats(item.modalities) for item in inputs]
    )
    assert all(np.isfinite(output).all() for output in outputs)
    seconds = {
        "read": read,
        "cut": cut,
        "read and cut": read + cut,
        "label": label,
        "all": read + cut + label,
    }
    return seconds, sum(len(output) for output in outputs)


def notebook(folder, records):
    """Number of beats cut by a loop over beats, with its features and differences."""
    waves, rhythms, differences = [], [], []
    known = set("".join(mitbih.AAMI_SYMBOLS.values()))
    for name in records:
        record = wfdb.rdrecord(str(folder / name))
        annotation = wfdb.rdann(str(folder / name), "atr")
        b, a = signal.butter(2, [0.5, 40.0], "bandpass", fs=record.fs)
        filtered = signal.filtfilt(b, a, record.p_signal, axis=0)
        peaks = [
            sample
            for sample, symbol in zip(annotation.sample, annotation.symbol, strict=True)
            if symbol in known
        ]
        mean_interval = np.mean(np.diff(peaks))
        own = []
        for i in range(1, len(peaks) - 1):
            first, last = peaks[i] - 130, peaks[i] + 126
            if first < 0 or last > len(filtered):
                continue
            beat = signal.resample(filtered[first:last], 128)
            beat = (beat - beat.mean(axis=0)) / (beat.std(axis=0) + 1e-6)
            own.append(beat)
            before = (peaks[i] - peaks[i - 1]) / mean_interval
            after = (peaks[i + 1] - peaks[i]) / mean_interval
            rhythms.append([np.log(before), np.log(after)])
        template = np.median(np.array(own), axis=0)
        for beat in own:
            differences.append(beat - template)
        waves.extend(own)
    ecg = np.concatenate([np.array(waves), np.array(differences)], axis=-1)
    assert ecg.shape[1:] == (128, 4) and len(rhythms) == len(ecg)
    return len(ecg)


def timed(function, *arguments):
    start = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - start, result


def load(name):
    from keras_mmfusion import presets

    return presets.load(name)


def untrained():
    """The architecture of the recipe with random weights: it costs the same."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "recipes" / "mitbih"))
    import architecture

    from keras_mmfusion.preprocessing import BeatPreprocessor

    model = architecture.build(CLASSES)
    model.preprocessor = BeatPreprocessor()
    return model


def write(rows, beats, header=True):
    writer = csv.writer(sys.stdout, lineterminator="\n")
    if header:
        writer.writerow(["stage", "median", "min", "max", "unit", "runs", "beats"])
    for name, values in rows.items():
        numbers = (statistics.median(values), min(values), max(values))
        unit = "x" if name.startswith("ratio") else "s"
        row = [name, *(f"{n:.2f}" for n in numbers), unit, len(values), beats]
        writer.writerow(row)


if __name__ == "__main__":
    main()
