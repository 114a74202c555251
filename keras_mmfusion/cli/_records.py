"""What the commands share: arguments, reading records, finding beats, labelling."""

import argparse
import math
from dataclasses import replace
from pathlib import Path

from keras_mmfusion.datasets import RecordError
from keras_mmfusion.datasets.ecg_record import record_path

DETECT = "detect"


def beat_source(text):
    """Argument type: where beats are from; detection may go by its detector's name."""
    return DETECT if text == "xqrs" else annotator(text)


def annotator(text):
    """Argument type: the extension of an annotation file, with or without a point."""
    return text.removeprefix(".")


def rate(text):
    """Argument type: a sampling rate in hertz."""
    value = _number(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(
            f"expected a sampling rate above 0 Hz. Received: {text!r}"
        )
    return value


def seconds(text):
    """Argument type: a time in seconds, 0 or more."""
    value = _number(text)
    if not value >= 0:
        raise argparse.ArgumentTypeError(
            f"expected seconds, 0 or more. Received: {text!r}"
        )
    return value


def add_model_arguments(parser):
    """Arguments of every command that labels beats."""
    parser.add_argument(
        "--lead",
        action="append",
        metavar="NAME",
        help="lead to use, by name; repeat it for two leads "
        "(default: MLII or II, and a chest lead). A limb lead is the model's first, "
        "a chest lead its second, in whatever order",
    )
    parser.add_argument(
        "--preset",
        default="atd_mitbih",
        help="trained model to use, a name or a folder (default: %(default)s; see: "
        "mmfusion presets)",
    )
    parser.add_argument(
        "--causal",
        action="store_true",
        help="label each beat from its past only, with the preset PRESET_causal; of "
        "those that ship, atd_mitbih has one",
    )
    parser.add_argument(
        "--fs",
        type=rate,
        metavar="HZ",
        help="sampling rate of a CSV file, which does not tell; WFDB records do",
    )
    parser.add_argument(
        "--no-verify",
        action="store_true",
        help="use a record even though a checksum is wrong or its beats do not "
        "fit its signal",
    )
    parser.add_argument(
        "--force", action="store_true", help="replace output files that exist"
    )


def read_record(path, args):
    """Read a WFDB record or a CSV file, without beats."""
    from keras_mmfusion.datasets import read_csv, read_wfdb

    base_path(path)
    if is_csv(path):
        if args.fs is None:
            raise RecordError(
                f"{path} does not tell its sampling rate. Add it, such as --fs 360."
            )
        record = read_csv(path, args.fs)
    elif args.fs is not None:
        raise RecordError(
            f"--fs is for CSV files; the header of {path} has its sampling rate."
        )
    else:
        record = read_wfdb(path, verify=not args.no_verify)
    for name in args.lead or ():
        record.lead_index(name)
    return record


def with_beats(record, path, source, args, progress=None):
    """Add beats to a record: detected ones, or those of an annotation file.

    Args:
        record: `ECGRecord`.
        path: Path it was read from.
        source: str. `"detect"` or the extension of an annotation file.
        args: Arguments of the command.
        progress: Callable `(done, total)` for the detection, or `None`.

    Returns:
        `ECGRecord` with at least one beat.
    """
    from keras_mmfusion.datasets import read_beats
    from keras_mmfusion.preprocessing.beat_detection import (
        check_alignment,
        detect_beats,
    )

    if source == DETECT:
        lead = args.lead[0] if args.lead else None
        beats = detect_beats(record, lead=lead, progress=progress)
        return replace(record, beats=beats, symbols=None)
    stem = base_path(path)
    beats, symbols = read_beats(stem, source, len(record.signals), record.fs)
    if not len(beats):
        raise RecordError(
            f"{stem}.{source} holds no heart beat. Name another annotation file, or "
            "have the beats detected (--beats detect)."
        )
    record = replace(record, beats=beats, symbols=symbols)
    if not args.no_verify:
        check_alignment(record)
        _require_pulse(record, f"{stem}.{source}")
    return record


def with_leads(record, columns):
    """A record of these columns only, in the order in which they were; None is none."""
    columns = sorted(column for column in columns if column is not None)
    if len(columns) == len(record.leads):
        return record
    leads = tuple(record.leads[column] for column in columns)
    return replace(record, signals=record.signals[:, columns], leads=leads)


def _require_pulse(record, name):
    """Refuse a handful of beats in a long record: damaged, or no list of all beats."""
    minutes = record.duration / 60
    if minutes > 0.5 and len(record.beats) < 6 * minutes:
        raise RecordError(
            f"{name} marks only {len(record.beats)} beats in {minutes:.1f} minutes. "
            "Each heart beat has to be marked, because the rhythm tells part of the "
            "class. Have the beats detected (--beats detect)."
        )


def load_model(args):
    """The model that `--preset` and `--causal` ask for, once it is one of beats."""
    from keras_mmfusion import presets
    from keras_mmfusion.models._beat_labeller import BeatLabeller

    name = preset_name(args)
    known = {row["name"] for row in presets.list()}
    if _base(args.preset) in known and _base(name) not in known:
        causal = sorted(other for other in known if other.endswith("_causal"))
        raise RecordError(
            f"--causal asks for the preset {name}, and there is none. Causal presets: "
            f"{', '.join(causal)}. Choose one of these, or leave --causal out."
        )
    model = presets.load(name)
    if not isinstance(model, BeatLabeller):
        raise RecordError(
            "Expected a preset that labels heart beats, such as atd_mitbih. "
            f"Received: {name}, a {type(model).__name__}. See: mmfusion presets"
        )
    try:
        model.check_complete()
    except ValueError as error:
        raise RecordError(f"{name} cannot label a record: {error}") from error
    return model


def preset_name(args):
    """The name of the preset that `--preset` and `--causal` ask for."""
    base, at, version = args.preset.partition("@")
    if not args.causal or base.endswith("_causal"):
        return args.preset
    return f"{base}_causal{at}{version}"


def _base(preset):
    return preset.partition("@")[0]


def is_csv(path):
    return Path(path).suffix.lower() == ".csv"


def base_path(path):
    """Path of a record without extension, to which annotators are appended."""
    return Path(path).with_suffix("") if is_csv(path) else record_path(path)


def files_read(path, *annotators):
    """Files of a record and its annotations, which no output may replace."""
    stem = base_path(path)
    endings = ("hea", "dat", "mat", "csv", *annotators)
    return [stem.with_name(f"{stem.name}.{ending}") for ending in endings]


def _number(text):
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"expected a number. Received: {text!r}")
    return value
