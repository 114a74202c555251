"""Score shipped weights on the test rows again, beside what their card says.

    KERAS_BACKEND=jax python recipes/ett/rescore.py atd_etth1

Needs the table only, no runs: the model and its preprocessing are those that
`presets.load` gives. Exit code 1 if an error differs from the card in the fourth
decimal. Nothing is chosen by it.
"""

import argparse
import dataclasses
import sys
from pathlib import Path

import data
from evaluate import by_protocol
from train import select

from keras_mmfusion import presets

sys.path.append(str(Path(__file__).parents[1]))
import common

PRESETS = {"atd_etth1": "M", "stepfusion_etth1": "S"}
TOLERANCE = 1e-4


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("preset", choices=PRESETS)
    parser.add_argument("--data", help="folder with ett/")
    args = parser.parse_args(argv)
    said = presets.info(args.preset)["baselines"]["released_weights"]
    found = rescore(args.preset, args.data)
    print(f"{'':28s}{'the card':>12s}{'found':>12s}")
    wrong, features = 0, PRESETS[args.preset]
    for protocol, errors in said.items():
        for name, value in errors.items():
            key, horizon = name.split("_")
            here = found[protocol.removesuffix(f"_{features.lower()}")]
            here = here[int(horizon)][key]
            differs = abs(here - value) > TOLERANCE
            wrong += differs
            label = f"{protocol} {name}"
            print(f"{label:28s}{value:12.5f}{here:12.5f}{' differs' * differs}")
    return 1 if wrong else 0


def rescore(name, data_dir=None):
    """`{protocol: {horizon: {"mse", "mae"}}}` of the weights that ship."""
    model = presets.load(name)
    task = data.load(PRESETS[name], data_dir=data_dir)
    task = dataclasses.replace(task, preprocessor=model.preprocessor)
    return by_protocol(model, *select(task.windows("test"), list(model.input)), task)


if __name__ == "__main__":
    common.as_command(main)
