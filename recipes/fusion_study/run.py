"""Run the fusion study: every fusion on every dataset, then the report.

    KERAS_BACKEND=jax python recipes/fusion_study/run.py

All models of a dataset get the same encoders, batches and number of steps. What is
complete is skipped, so it can be stopped and started at any time. What was scored is
kept in `records/`, from which `report.py` makes tables and figures.
"""

import argparse
from pathlib import Path

import data
import evaluate
import report
import resuming
import speed
import study
import train
from common import as_command

# Those that no test trains. Compiling is what takes time.
SMOKE = ("etth1", "emoji")


def main(argv=None):
    args = parse_arguments(argv)
    speed.set_up(args)
    for seed in args.seeds:
        for dataset in args.datasets:
            one_set(args, dataset, seed)
    report.write(args.records, Path(args.output) / "report")


def one_set(args, dataset, seed):
    """All models of a dataset with one seed."""
    names = study.models_of(dataset, args.fusions)
    if args.smoke:
        names = args.fusions
    if evaluate.record(args.output, dataset, seed, names, args.records):
        return
    budget = study.SMOKE if args.smoke else study.BUDGETS[dataset]
    task = data.load(dataset, budget, args.data)
    for name in names:
        train.run(
            task,
            name,
            seed,
            budget,
            args.output,
            0 if args.quiet else 2,
            args.workers,
            args.steps_per_execution,
        )
        evaluate.run(task, name, seed, budget, args.output)
    evaluate.record(args.output, dataset, seed, names, args.records)


def parse_arguments(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for option, known in (("--datasets", study.DATASETS), ("--fusions", study.FUSIONS)):
        parser.add_argument(
            option,
            nargs="+",
            choices=known,
            default=known,
            metavar="NAME",
            help=f"of {', '.join(known)} (default: all)",
        )
    parser.add_argument("--seeds", type=int, nargs="+", default=study.SEEDS)
    parser.add_argument(
        "--data", help="folder with mitdb/, ett/, mnist/, fsdd/, emoji/"
    )
    resuming.add_output(parser, "runs/fusion_study")
    parser.add_argument(
        "--records", type=Path, help="default: records/ beside this file"
    )
    speed.add_arguments(parser)
    parser.add_argument("--quiet", action="store_true", help="one line a run")
    parser.add_argument("--smoke", action="store_true", help="a minute, on the CPU")
    args = parser.parse_args(argv)
    if args.smoke:
        args.seeds, args.fusions, args.datasets = [0], [study.REFERENCE], SMOKE
        args.records = args.records or Path(args.output) / "records"
    args.records = args.records or study.RECORDS
    return args


if __name__ == "__main__":
    as_command(main)
