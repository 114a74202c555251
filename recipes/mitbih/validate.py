"""Print the patient-wise validation inside DS1: models are chosen by this alone.

python recipes/mitbih/validate.py
"""

import argparse

import data
import ectopic_rich
import scoring

from keras_mmfusion.datasets import mitbih
from keras_mmfusion.preprocessing import BeatPreprocessor


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", help="folder with mitdb/")
    parser.add_argument("--causal", action="store_true", help="the causal variants")
    parser.add_argument("--output", default="runs/mitbih")
    args = parser.parse_args(argv)
    preprocessor = BeatPreprocessor(causal=args.causal)
    recordings = data.load("interpatient", preprocessor, args.data, mitbih.DS1)
    simulated = ectopic_rich.for_validation(recordings, preprocessor)
    groups = {"Recorded beats": recordings}
    for kind in "SV":
        name = f"Simulated records of these patients, most beats {kind}"
        groups[name] = [r for r in simulated if f" {kind} " in r.name]
    for name, group in groups.items():
        print(f"{name}:")
        scoring.print_table(
            scoring.validation_table(args.output, "interpatient", group, args.causal)
        )


if __name__ == "__main__":
    main()
