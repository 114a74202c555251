"""Print the patient-wise validation inside DS1: models are chosen by this alone.

python recipes/mitbih/validate.py
"""

import argparse

import data
import ectopic_rich
import scoring

from keras_mmfusion.datasets import mitbih
from keras_mmfusion.preprocessing import BeatPreprocessor

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", help="folder with mitdb/")
    parser.add_argument("--output", default="runs/mitbih")
    args = parser.parse_args()
    recordings = data.load("interpatient", data_dir=args.data, records=mitbih.DS1)
    table = scoring.validation_table(args.output, "interpatient", recordings)
    scoring.print_table(table)
    simulated = ectopic_rich.for_validation(recordings, BeatPreprocessor())
    for kind in "SV":
        print(f"\nSimulated records of these patients, most beats {kind}:")
        rich = [r for r in simulated if f" {kind} " in r.name]
        scoring.print_table(scoring.validation_table(args.output, "interpatient", rich))
