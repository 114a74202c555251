"""Print the patient-wise validation inside DS1: models are chosen by this alone.

python recipes/mitbih/validate.py
"""

import argparse
import itertools
import sys
from pathlib import Path

import architecture
import data
import ectopic_rich
import scoring

from keras_mmfusion.datasets import mitbih
from keras_mmfusion.models import BeatConsensus
from keras_mmfusion.preprocessing import BeatPreprocessor

sys.path.append(str(Path(__file__).parents[1]))
import common

# What is tried by `--consensus`: weights of the rhythm beside 1 of the waveforms,
# numbers of neighbours, and their share.
TRIED = ((0, 20, 80), (10, 25, 60), (0.5, 0.8))


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", help="folder with mitdb/")
    parser.add_argument("--causal", action="store_true", help="the causal variants")
    parser.add_argument(
        "--consensus", metavar="VARIANT", help="compare settings of its consensus"
    )
    parser.add_argument(
        "--ensembles", metavar="VARIANT", help="compare what to make of its networks"
    )
    parser.add_argument("--output", default="runs/mitbih")
    args = parser.parse_args(argv)
    variant = args.consensus or args.ensembles
    if variant:
        args.causal = architecture.parse(variant).causal
    preprocessor = BeatPreprocessor(causal=args.causal)
    recordings = data.load("interpatient", preprocessor, args.data, mitbih.DS1)
    if args.consensus:
        return compare(args.output, args.consensus, recordings)
    simulated = ectopic_rich.for_validation(recordings, preprocessor)
    groups = {"Recorded beats": recordings}
    for kind in "SV":
        name = f"Simulated records of these patients, most beats {kind}"
        groups[name] = [r for r in simulated if f" {kind} " in r.name]
    for name, group in groups.items():
        print(f"{name}:")
        if args.ensembles:
            table = ensembles(args.output, args.ensembles, group)
        else:
            table = scoring.validation_table(
                args.output, "interpatient", group, args.causal
            )
        scoring.print_table(table)


def ensembles(output, variant, recordings):
    """Members alike, and some that decide about V; of each, models that share none."""
    protocol, decides = "interpatient", architecture.SPECIALTY
    runs = {
        name: scoring.read_runs(output, protocol, name, folds=True)
        for name, _ in scoring.members_of(protocol, variant, 0)
    }

    def alike(size):
        return lambda n: [(variant, size * n + i) for i in range(size)]

    def and_specialists(size):
        special = [f"{variant}_specialist"] * size
        return lambda n: [
            *alike(scoring.COMMON)(n),
            *((name, size * n + i) for i, name in enumerate(special)),
        ]

    more = scoring.COMMON + 1
    ways = {(str(n), False): alike(n) for n in (more, scoring.COMMON)}
    for size in (scoring.SPECIALISTS, scoring.SPECIALISTS + 1):
        name = f"{scoring.COMMON}, {decides} {size}"
        ways[name, False] = ways[f"{name} alone", True] = and_specialists(size)
    rows = []
    for (name, alone), members_of in ways.items():
        scores = []
        for members in map(members_of, range(len(runs[variant]))):
            said = [runs[of].get(seed) for of, seed in members]
            if all(said):
                special = scoring.specialists(members)
                said = scoring.together(said, special, protocol, alone)
                scores.append(scoring.score_model(said, recordings, protocol, variant))
        if scores:
            rows.append((name, scoring.summarise(scores)))
    return rows


def compare(output, variant, recordings):
    """Print what each setting of a consensus makes of the seeds, on recorded beats."""
    runs = scoring.read_runs(output, "interpatient", variant, folds=True).values()
    classes, causal = data.INTERPATIENT_CLASSES, architecture.parse(variant).causal
    tables = {"none": runs}
    for rhythm, neighbors, share in itertools.product(*TRIED):
        weights = {"ecg": 1.0} | ({"rhythm": rhythm} if rhythm else {})
        consensus = BeatConsensus(weights, neighbors, share)
        tables[f"{rhythm}, {neighbors}, {share}"] = [
            {r.name: consensus(p[r.name], r.modalities, causal) for r in recordings}
            for p in runs
        ]
    print("Weight of the rhythm, neighbours, share:")
    scoring.print_table(
        [
            (
                name,
                scoring.summarise(
                    [scoring.score(p, recordings, classes)[0] for p in of]
                ),
            )
            for name, of in tables.items()
        ]
    )


if __name__ == "__main__":
    common.as_command(main)
