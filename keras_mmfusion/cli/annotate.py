"""`mmfusion annotate`: label the beats of a record and write them to files."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from keras_mmfusion.analysis._figure_class import figure_class
from keras_mmfusion.cli import _records
from keras_mmfusion.cli._outputs import staged
from keras_mmfusion.cli._progress import progress_bar
from keras_mmfusion.datasets import RecordError

CLASS_NAMES = {
    "N": "normal, bundle branch block",
    "S": "supraventricular ectopic",
    "V": "ventricular ectopic",
    "F": "fusion of V and N",
    "L": "left bundle branch block",
    "R": "right bundle branch block",
    "A": "atrial premature",
    "Q": "unclassifiable",
}
PICTURE_SUFFIXES = (".png", ".pdf", ".svg")
# More than this fits no page.
MAX_WINDOW = 120.0


def add_parser(commands):
    parser = commands.add_parser(
        "annotate",
        help="label the beats of an ECG record",
        description="Label the heart beats of an ECG record. Writes RECORD.mmf (WFDB "
        "annotations) and RECORD.mmf.csv (time, sample, label, reason, "
        "probabilities).",
    )
    parser.add_argument(
        "record",
        metavar="RECORD",
        help="WFDB record, with or without extension, or a .csv file with a header "
        "row and one column a lead in mV",
    )
    parser.add_argument(
        "--beats",
        default=_records.DETECT,
        type=_records.beat_source,
        metavar="SOURCE",
        help="'detect' or 'xqrs' (the XQRS detector, the default), or the extension of "
        "an annotation file beside the record, such as 'atr'",
    )
    _records.add_model_arguments(parser)
    parser.add_argument(
        "--output-dir",
        type=Path,
        metavar="DIR",
        help="where to write (default: beside the record)",
    )
    parser.add_argument(
        "--plot",
        type=Path,
        metavar="FILE",
        help=f"draw a picture as well ({', '.join(PICTURE_SUFFIXES)})",
    )
    parser.add_argument(
        "--window",
        nargs=2,
        type=_records.seconds,
        metavar=("START", "DURATION"),
        help="seconds of the record to draw (default: the 30 s with most to see)",
    )
    parser.set_defaults(run=run)


def run(args):
    """Run the command; `args` are its parsed arguments."""
    check_picture(args.plot, "ecg")
    if args.window and not args.plot:
        raise RecordError("--window chooses what to draw: add --plot out.png.")
    stem = _records.base_path(args.record)
    folder = args.output_dir if args.output_dir is not None else stem.parent
    paths = [folder / f"{stem.name}.mmf", folder / f"{stem.name}.mmf.csv"]
    if args.plot:
        paths.append(args.plot)
    record = _records.read_record(args.record, args)
    window = _window(record, args.window)
    reads = _records.files_read(args.record, args.beats)
    with staged(paths, args.force, reads) as parts:
        model = _records.load_model(args)
        record = _records.with_beats(
            record, args.record, args.beats, args, progress_bar("Detecting beats")
        )
        detected = args.beats == _records.DETECT
        silence = list(_silence(record, args)) if detected else []
        # The leads that nobody looks at any more may be most of the memory.
        record = _records.with_leads(
            record, model.preprocessor.choose_leads(record, args.lead)
        )
        labels = model.predict_record(
            record, leads=args.lead, progress=progress_bar("Labelling beats")
        )
        _require_a_signal(labels, record)
        source = "xqrs" if detected else args.beats
        labels = replace(labels, beat_source=source)
        labels.to_wfdb(parts[0])
        labels.to_csv(parts[1])
        if args.plot:
            draw(record, labels, parts[2], window)
    print(summary(record, labels, model, args, silence))
    print("Wrote   " + "\n        ".join(str(path) for path in paths))
    return 0


def _require_a_signal(labels, record):
    """Refuse a recording of which no beat could be labelled."""
    if all(labels.reasons):
        leads, reasons = ", ".join(labels.leads), ", ".join(sorted(set(labels.reasons)))
        raise RecordError(
            f"No beat of record {record.name} can be labelled: {leads} must have a "
            f"signal at some of its {len(labels):,} beats. Received: {reasons} at all "
            "of them. Choose other leads (--lead), or check the recording."
        )


def summary(record, labels, model, args, silence=()):
    """What was found, as lines of text."""
    if args.beats == _records.DETECT:
        beats = "detected by XQRS (wfdb)"
    else:
        beats = f"from the annotation file .{args.beats}"
    lines = [
        f"Record  {record.name}: {duration_text(record.duration)} at {record.fs:g} Hz",
        f"Beats   {len(labels):,} {beats}",
        *silence,
        f"Leads   {', '.join(labels.leads)}",
        *_doubtful_leads(record, labels.leads),
        f"Model   {_records.preset_name(args)}",
    ]
    if model.causal:
        delay = model.preprocessor.delay(record.fs)
        lines.append(
            f"Causal  the label of a beat is ready {delay:.2f} s after its R peak"
        )
        if args.beats == _records.DETECT:
            lines.append("        (finding the beats looked at the whole record)")
    burden = labels.ectopic_per_hour(record.duration)
    lines += ["", "Class                              beats   share   per hour"]
    for name, count in labels.counts().items():
        share = f"{100 * count / max(len(labels), 1):6.1f}%"
        rate = f"{burden[name]:11.1f}" if name in burden else ""
        title = CLASS_NAMES.get(name, "")
        lines.append(f"  {name}  {title:27}{count:9,} {share}{rate}".rstrip())
    if burden:
        total, kinds = sum(burden.values()), " + ".join(burden)
        lines.append(f"Ectopic burden ({kinds}): {total:.1f} beats per hour")
    unusable = labels.counts()["Q"]
    if unusable:
        reasons = sorted(set(labels.reasons.tolist()) - {""})
        lines.append(f"Q: {unusable:,} beats could not be used ({', '.join(reasons)})")
    return "\n".join(lines)


def _silence(record, args):
    """How long there was nothing to detect, whatever another lead may show."""
    from keras_mmfusion.preprocessing.beat_detection import silence

    name, seconds = silence(record, args.lead[0] if args.lead else None)
    if seconds >= 1:
        yield f"        none in {duration_text(seconds)} without a signal in {name}"


def _doubtful_leads(record, leads):
    """Leads without a signal, or far smaller or larger than a heart makes them."""
    from keras_mmfusion.preprocessing._interruptions import unusable

    for name in leads:
        values = record.signals[:, record.lead_index(name)]
        seconds = unusable(values[:, None], record.fs).sum() / record.fs
        if seconds > record.duration / 2:
            yield (
                f"        {name} has no signal for {duration_text(seconds)}, and "
                "counts as missing there (--lead chooses others)"
            )
            continue
        values = values[np.isfinite(values)]
        height = np.percentile(np.abs(values - np.median(values)), 99.9)
        # In MIT-BIH, from 0.3 to 5 mV.
        if not 0.1 <= height <= 20:
            yield (
                f"        {name} is {height:,.3g} mV high, which no heart makes it: is "
                "its unit another?"
            )


def check_picture(path, extra="plots"):
    """Refuse a picture that could not be drawn, before the long work."""
    if path is None:
        return
    if path.suffix.lower() not in PICTURE_SUFFIXES:
        raise RecordError(
            f"Cannot draw {path}: a picture ends in {', '.join(PICTURE_SUFFIXES)}."
        )
    figure_class(extra)


def draw(record, labels, path, window=None, reference=None):
    """Draw a window of labelled beats; by default the one with most to see."""
    from keras_mmfusion.analysis.beat_plot import liveliest_window, plot_beats

    shown = labels if reference is None else replace(labels, labels=reference)
    start, length = window or liveliest_window(shown, record.duration)
    figure = plot_beats(record, labels, start, length, reference, "cardiologists")
    figure.savefig(path, dpi=160)


def duration_text(duration):
    minutes, left = divmod(round(duration), 60)
    hours, minutes = divmod(minutes, 60)
    return (
        f"{hours:d} h {minutes:02d} min {left:02d} s"
        if hours
        else (f"{minutes:d} min {left:02d} s")
    )


def _window(record, window):
    if window is None:
        return None
    start, length = window
    if not 0 < length <= MAX_WINDOW:
        raise RecordError(
            f"--window draws up to {MAX_WINDOW:g} s. Received: a duration of "
            f"{length:g} s."
        )
    if start >= record.duration:
        raise RecordError(
            f"--window begins at {start:g} s, but record {record.name} ends at "
            f"{record.duration:.1f} s."
        )
    return start, min(length, record.duration - start)
