"""`mmfusion tune`: search a fusion, its width and the rest for one's own data."""

import argparse
import contextlib
import os
import shutil
import sys
from pathlib import Path

from keras_mmfusion.cli import _tune_data, _tune_workers
from keras_mmfusion.datasets import RecordError

OBJECTIVES = ("val_loss", "val_accuracy", "val_mae")


def add_parser(commands):
    parser = commands.add_parser(
        "tune",
        help="search a fusion for your own data",
        description="Search a fusion, its width, heads and steps, encoders, dropout "
        "and learning rate, with Keras Tuner. The best model is saved as a preset, "
        "with a table of all trials. The same command again goes on where it was "
        "stopped or killed, or only adds trials (--max-trials). Needs the extra "
        "`tuner`.",
        epilog="DATA is an .npz file: an array (samples, time, features) for each "
        "modality (of pictures: samples, 1, height, width, channels), y, and if "
        "samples belong together, groups (samples,), such as patients: none of them is "
        "then on both sides, and if not all count alike, sample_weight. y of integers "
        "are classes, negative where unknown; y of other numbers (samples, horizon, "
        "columns) is a forecast of the first modality. With a preset that labels "
        "beats, DATA may be a folder of WFDB records. The state of the search is kept "
        "in DIR.search. Several machines, and more: docs/tune.md.",
    )
    parser.add_argument("data", metavar="DATA", type=Path, help="what to search on")
    parser.add_argument(
        "--output", required=True, type=Path, metavar="DIR", help="preset to write"
    )
    parser.add_argument(
        "--preset-like",
        metavar="NAME",
        help="take inputs, encoders and classes of this preset, and search the rest",
    )
    parser.add_argument(
        "--max-trials",
        type=int,
        default=20,
        metavar="N",
        help="models to try in all (default: %(default)s)",
    )
    parser.add_argument(
        "--tuner",
        choices=["random", "bayesian", "hyperband"],
        default="random",
        help="how to search (default: %(default)s)",
    )
    parser.add_argument(
        "--epochs",
        type=int,
        default=20,
        metavar="N",
        help="of each model; with hyperband, of the best ones (default: %(default)s)",
    )
    parser.add_argument(
        "--batch-size", type=int, default=32, metavar="N", help="(default: %(default)s)"
    )
    parser.add_argument(
        "--range",
        action="append",
        default=[],
        metavar="NAME=VALUES",
        help="what to try: fusion=atd,concat or dim=16:64 or dropout=0.1; repeat it "
        "for more",
    )
    parser.add_argument(
        "--objective",
        choices=OBJECTIVES,
        default="val_loss",
        help="what the best model is best in (default: %(default)s)",
    )
    parser.add_argument(
        "--folds",
        type=int,
        metavar="N",
        help="take the mean over so many folds, groups whole; the best is then trained "
        "on all data (default: one split, a quarter to validate on)",
    )
    parser.add_argument(
        "--records",
        nargs="+",
        metavar="NAME",
        help="records of the folder (default: of MIT-BIH those of DS1, else all)",
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=1,
        metavar="N",
        help="processes that train at the same time (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")
    parser.add_argument(
        "--force", action="store_true", help="start anew, and replace DIR"
    )
    parser.add_argument(
        _tune_workers.PIPED, action="store_true", help=argparse.SUPPRESS
    )
    parser.set_defaults(run=run)


def run(args):
    """Run the command; `args` are its parsed arguments."""
    if args.end_with_parent:
        _tune_workers.end_with_parent()
    for name in ("max_trials", "epochs", "batch_size", "workers"):
        if getattr(args, name) < 1:
            option = name.replace("_", "-")
            raise RecordError(
                f"--{option} must be at least 1. Received: {getattr(args, name)}"
            )
    if args.seed < 0:
        raise RecordError(f"--seed must be 0 or more. Received: {args.seed}")
    args.output = args.output.expanduser().absolute()
    ranges = read_ranges(args.range)
    _import_packages()
    try:
        return _run(args, ranges)
    except KeyboardInterrupt:
        print(
            "mmfusion: interrupted; the same command goes on where it stopped",
            file=sys.stderr,
        )
        return 130


def _run(args, ranges):
    # They bring Keras and Keras Tuner.
    from keras_mmfusion._kept_memory import keep_freed_memory
    from keras_mmfusion.cli import _tune_state as state
    from keras_mmfusion.cli._tune_search import Search

    state.check_output(args.output)
    keep_freed_memory()
    data = _tune_data.read(args.data, args.preset_like, args.records)
    part = "KERASTUNER_ORACLE_IP" in os.environ
    try:
        search = Search(args, data, ranges)
        if not part:
            search.check()
    except ValueError as error:
        raise RecordError(str(error)) from error
    if part:
        # The chief or a worker of a search: the rest is for who started them.
        search.folder.mkdir(parents=True, exist_ok=True)
        search.run()
        return 0
    for note in data.notes:
        print(f"mmfusion: {note}", file=sys.stderr)
    with state.only_one(search.folder):
        if args.force:
            _empty(search.folder, state.LOCK)
        elif args.output.exists() and not state.is_begun(search.folder):
            raise RecordError(
                f"{args.output} exists, and there is no search of it to go on with. "
                "Add --force to replace it, or write elsewhere."
            )
        state.write_settings(search.folder, search.settings())
        if args.workers > 1:
            words = _tune_workers.arguments_of(args)
            _tune_workers.run_workers(words, args.workers, search.folder)
        else:
            search.run()
        print(search.save())
    return 0


def _empty(folder, lock):
    for path in folder.iterdir():
        if path.name != lock:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def read_ranges(texts):
    """`NAME=VALUES` as a dict of ranges, see `ClassifierHyperModel`."""
    ranges = {}
    for text in texts:
        name, equals, values = text.partition("=")
        if not (name and equals and values):
            raise RecordError(
                "--range must be such as fusion=atd,concat or dim=16:64. "
                f"Received: {text!r}"
            )
        pair = values.split(":")
        entries = [_value(v) for v in (pair if len(pair) > 1 else values.split(","))]
        ranges[name] = tuple(entries) if len(pair) > 1 else entries
    return ranges


def _value(text):
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return text


def _import_packages():
    from keras_mmfusion.tuning._packages import (
        import_keras_tuner,
        import_model_selection,
    )

    import_keras_tuner()
    import_model_selection()
