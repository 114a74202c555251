"""`mmfusion evaluate`: compare the labels of records with reference annotations."""

import argparse
import csv
from dataclasses import replace
from pathlib import Path

import numpy as np

from keras_mmfusion.analysis.beat_comparison import CLASSES, compare, pool
from keras_mmfusion.cli import _records
from keras_mmfusion.cli._outputs import staged
from keras_mmfusion.cli._progress import progress_bar
from keras_mmfusion.datasets.mitbih import AAMI_SYMBOLS
from keras_mmfusion.metrics import NO_BEAT, confusion_matrix


def add_parser(commands):
    parser = commands.add_parser(
        "evaluate",
        help="compare labels with reference annotations",
        description="Label the beats of ECG records, and compare the labels with their "
        "reference annotations, in the manner of AAMI EC57: sensitivity (Se), positive "
        "predictivity (+P) and F1 of each class, per record and for all beats "
        "together (gross). Labels and annotations count as the AAMI class they belong "
        "to, such as L and R as N. Reference beats of class Q are left out.",
    )
    parser.add_argument(
        "records",
        nargs="+",
        metavar="RECORD",
        help="WFDB record, or a .csv file as for annotate, with annotations beside it",
    )
    parser.add_argument(
        "--reference",
        default="atr",
        type=_reference,
        metavar="EXT",
        help="extension of the annotation files with the reference labels "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--beats",
        default=None,
        type=_records.beat_source,
        metavar="SOURCE",
        help="where the model gets its beats: the extension of an annotation file "
        "(default: the reference), or 'detect' or 'xqrs' (the XQRS detector)",
    )
    parser.add_argument(
        "--csv", type=Path, metavar="FILE", help="write the numbers to a table as well"
    )
    _records.add_model_arguments(parser)
    parser.set_defaults(run=run)


def run(args):
    """Run the command; `args` are its parsed arguments."""
    args.beats = args.beats or args.reference
    if args.csv:
        annotators = (args.reference, args.beats)
        reads = [
            file
            for path in args.records
            for file in _records.files_read(path, *annotators)
        ]
        with staged([args.csv], args.force, reads) as (part,):
            comparisons = _compare_all(args)
            _write_table(part, comparisons)
    else:
        comparisons = _compare_all(args)
    print(report(comparisons, args))
    if args.csv:
        print(f"\nWrote {args.csv}")
    return 0


def report(comparisons, args):
    """The tables and what has to be said about them, as text."""
    gross = pool(comparisons)
    rows = comparisons if len(comparisons) == 1 else [*comparisons, gross]
    source = "XQRS detections" if args.beats == _records.DETECT else f".{args.beats}"
    width = max(len(c.name) for c in [*comparisons, gross])
    lines = [
        f"Model {_records.preset_name(args)}, beats: {source}, "
        f"reference: .{args.reference}",
        "",
        f"{'':{width}} {'':>7} {'':>5} "
        + " ".join(f"|{name:^20}" for name in CLASSES)
        + " | macro-F1     Cohen",
        f"{'record':{width}} {'beats':>7} {'acc':>5} "
        + " ".join("|    Se     +P     F1" for _ in CLASSES)
        + " |   NSV  NSVF  kappa    jk",
    ]
    lines += [_row(comparison, width) for comparison in rows]
    lines += ["", *confusion_text(gross), *_remarks(gross, args)]
    return "\n".join(lines)


def confusion_text(comparison):
    """Confusion matrix of a `Comparison`, as lines of text."""
    rows = (*CLASSES, "Q")
    rows = [r for r in rows if r in CLASSES or (comparison.reference == r).any()]
    columns = [*CLASSES, "Q"]
    if (comparison.predicted == NO_BEAT).any() or len(comparison.extra):
        columns.append(NO_BEAT)
    names = (*CLASSES, "Q", NO_BEAT)
    counts = confusion_matrix(comparison.reference, comparison.predicted, names)
    titles = {NO_BEAT: "missed"}
    lines = ["Confusion matrix (rows: reference, columns: model)"]
    lines.append(" " * 8 + "".join(f"{titles.get(c, c):>8}" for c in columns))
    for row in rows:
        cells = [counts[names.index(row), names.index(c)] for c in columns]
        lines.append(f"  {row:6}" + "".join(f"{cell:8,}" for cell in cells))
    if len(comparison.extra):
        cells = [(comparison.extra == c).sum() for c in columns[:-1]]
        lines.append(f"  {'extra':6}" + "".join(f"{cell:8,}" for cell in cells))
    return lines


def _reference(text):
    """Argument type: the extension of a file with labels, which detection has not."""
    if _records.beat_source(text) == _records.DETECT:
        raise argparse.ArgumentTypeError(
            "expected the extension of annotation files with the labels to compare "
            f"with. Received: {text!r}"
        )
    return _records.annotator(text)


def _compare_all(args):
    model = _records.load_model(args)
    comparisons = []
    for number, path in enumerate(args.records, 1):
        record = _records.read_record(path, args)
        title = f"beats of {record.name} ({number} of {len(args.records)})"
        reference = _records.with_beats(record, path, args.reference, args)
        if args.beats == args.reference:
            given = reference
        else:
            bar = progress_bar(f"Detecting {title}")
            given = _records.with_beats(record, path, args.beats, args, bar)
        bar = progress_bar(f"Labelling {title}")
        labels = model.predict_record(given, leads=args.lead, progress=bar)
        labels = replace(labels, beat_source=args.beats)
        comparisons.append(compare(reference, labels))
    return comparisons


def _row(comparison, width):
    result = comparison.metrics()
    cells = [f"{comparison.name:{width}} {int(result.support.sum()):7,}"]
    cells.append(_percent(result.accuracy, 5))
    for values in zip(result.sensitivity, result.precision, result.f1, strict=True):
        cells.append("|" + " ".join(_percent(v, 6) for v in values))
    cells.append("|" + _percent(result.macro_f1_nsv, 6))
    cells.append(_percent(result.macro_f1, 5))
    cells.append(_fraction(result.kappa, 6) + _fraction(result.j_kappa, 6))
    return " ".join(cells)


def _remarks(gross, args):
    lines = [
        "",
        "acc, Se, +P and F1 in percent; – where there is nothing to divide by.",
        "jk: half kappa, half the mean of Se and +P of S and V.",
        "Labels of the model and of the reference count by AAMI class: "
        + ", ".join(f"{name} ({' '.join(AAMI_SYMBOLS[name])})" for name in CLASSES)
        + ".",
    ]
    left_out = int((gross.reference == "Q").sum())
    lines.append(
        f"Left out of the table: {left_out:,} reference beats of class Q (paced, "
        f"unclassifiable) and {gross.left_out:,} without a class. A beat that the "
        "model calls Q counts as an error."
    )
    if args.beats != args.reference:
        missed = int((gross.predicted == NO_BEAT).sum())
        found, extra = len(gross.predicted) - missed, len(gross.extra)
        lines.append(
            "Detection within 150 ms (EC57), whole record: "
            f"Se {_percent(found / len(gross.predicted), 0)}, "
            f"+P {_percent(found / max(found + extra, 1), 0)}; {missed:,} missed beats "
            f"(count against Se) and {extra:,} extra ones (count against +P)."
        )
    return lines


def _write_table(path, comparisons):
    rows = [*comparisons, pool(comparisons)]
    header = ["record", "beats", "accuracy"]
    header += [f"{name}_{kind}" for name in CLASSES for kind in ("Se", "+P", "F1")]
    header += ["macro_f1_NSV", "macro_f1_NSVF", "kappa", "j_kappa"]
    header += ["missed", "extra", "left_out_Q"]
    header += [f"{row}>{column}" for row in CLASSES for column in (*CLASSES, "Q")]
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        for comparison in rows:
            writer.writerow(_table_row(comparison))


def _table_row(comparison):
    result = comparison.metrics()
    triples = zip(result.sensitivity, result.precision, result.f1, strict=True)
    numbers = [result.accuracy, *(v for triple in triples for v in triple)]
    numbers += [
        result.macro_f1_nsv,
        result.macro_f1,
        result.kappa,
        result.j_kappa,
    ]
    names = (*CLASSES, "Q")
    counts = confusion_matrix(comparison.reference, comparison.predicted, names)
    return [
        comparison.name,
        int(result.support.sum()),
        *("" if np.isnan(v) else f"{v:.6f}" for v in numbers),
        int((comparison.predicted == NO_BEAT).sum()),
        len(comparison.extra),
        int((comparison.reference == "Q").sum()),
        *counts[: len(CLASSES)].ravel().tolist(),
    ]


def _percent(value, width):
    return "–".rjust(width) if np.isnan(value) else f"{100 * value:{width}.1f}"


def _fraction(value, width):
    return "–".rjust(width) if np.isnan(value) else f"{value:{width}.3f}"
