"""Put models that were trained after a release into the tables of its presets.

    KERAS_BACKEND=jax python recipes/ett/add_baselines.py zoom_shift

They are scored by `evaluate.py`, and stand beside the others: in the metadata, on the
card, and in zoo/results.csv. Weights stay as they are.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

import architecture
import card
import release
import scoring

sys.path.append(str(Path(__file__).parents[1]))
import common
from revise import add_baselines, came_later


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="+", choices=architecture.MODELS)
    parser.add_argument("--presets", nargs="+", choices=release.PRESETS)
    parser.add_argument("--output", default="runs/ett")
    parser.add_argument("--zoo", default=str(common.ZOO))
    args = parser.parse_args(argv)
    for preset in args.presets or release.PRESETS:
        features, ours = release.PRESETS[preset]
        folder = Path(args.output, card.TABLE, features)
        found, facts = scoring.read_runs(folder), scoring.read_facts(folder)
        missing = [name for name in args.models if name not in found]
        if missing:
            raise SystemExit(
                f"Expected scored runs of {missing} in {folder}. Received: none. "
                "First: train.py and evaluate.py"
            )
        groups = {
            "validation": {
                name: release.of_validation(facts[name].values())
                for name in args.models
            }
        }
        standard, *others = found[args.models[0]][0]
        for protocol in (standard, *others):
            rows = {
                name: release.spreads(found[name], protocol) for name in args.models
            }
            key = card.key(protocol, features)
            groups["same_run" if protocol == standard else key] = rows
            common.write_results(Path(args.zoo, "results.csv"), key, rows, {}, {})
        runs = [next(iter(facts[name].values())) for name in args.models]
        add_baselines(
            Path(args.zoo) / preset,
            groups,
            [partial(table_of, ours, features, standard)],
            came_later(args.models, runs),
        )
        print(f"{preset}: {', '.join(args.models)} in {Path(args.zoo) / preset}")


def table_of(ours, features, protocol, metadata):
    """The table of the main protocol on the card, from the metadata."""
    metrics = next(v for k, v in metadata["metrics"].items() if k.startswith(protocol))
    models = {**metadata["baselines"]["same_run"], ours: metrics}
    ordered = {name: models[name] for name in architecture.MODELS if name in models}
    return card.table(ordered, ours, features)


if __name__ == "__main__":
    common.as_command(main)
