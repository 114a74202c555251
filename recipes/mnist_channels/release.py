"""Write the preset `mcwsa_mnist`: weights, card, picture, rows of zoo/results.csv.

    KERAS_BACKEND=jax python recipes/mnist_channels/release.py

Released is the fusion with the lowest error on the triples to validate on, and of it
the seed with the lowest.
"""

import argparse
import json
import sys
from pathlib import Path

import card
import data
import evaluate
import figures
import numpy as np
import scoring

from keras_mmfusion import presets
from keras_mmfusion.models import FUSIONS

sys.path.append(str(Path(__file__).parents[1]))
import common
from front_matter import with_front_matter

NAME, PROTOCOL = "mcwsa_mnist", "mnist_channels"


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", help="folder with mnist/")
    parser.add_argument("--output", default="runs/mnist_channels")
    parser.add_argument("--zoo", default=str(common.ZOO))
    args = parser.parse_args(argv)
    common.check_runs([args.output], "*/seed*/test.json", "train.py and evaluate.py")
    found = scoring.read(args.output)
    facts_of = runs(args.output)
    chosen = choose(facts_of)
    errors = {s: validation_error(of) for s, of in facts_of[chosen].items()}
    seed = min(errors, key=errors.get)
    run = Path(args.output, chosen, f"seed{seed}")
    model = evaluate.trained(run)
    tables = {name: spreads(seeds) for name, seeds in found.items()}
    released = {key: round(value, 5) for key, value in found[chosen][seed].items()}
    images = evaluate.test_triples(args.data)
    facts = card.Facts(
        name=NAME,
        model=chosen,
        seed=seed,
        run=facts_of[chosen][seed],
        triples=len(images["channel_1"]),
        tables=tables,
        released=released,
        gains={
            name: gain(found[chosen], found[name])
            for name in ("separate", "cascade", "concat")
            if name in found and name != chosen
        },
        parameters={
            name: next(iter(of.values()))["parameters"] for name, of in facts_of.items()
        },
    )
    metadata = card.metadata(facts)
    presets.save(
        model,
        Path(args.zoo) / NAME,
        metadata=metadata,
        golden=golden(images),
        files={
            "README.md": with_front_matter(card.text(facts), metadata),
            "reconstructions.png": common.small_png(
                picture(args, images, chosen, seed)
            ),
            "train_log.csv": run / "train_log.csv",
        },
        overwrite=True,
    )
    path = Path(args.zoo, "results.csv")
    common.write_results(path, PROTOCOL, tables, {chosen: released}, {chosen: NAME})
    print(f"{NAME}: seed {seed} released in {Path(args.zoo) / NAME}", flush=True)


def runs(output):
    """`{model: {seed: what its training left}}`."""
    found = {}
    for file in sorted(Path(output).glob("*/seed*/run.json")):
        seed = int(file.parent.name.removeprefix("seed"))
        found.setdefault(file.parents[1].name, {})[seed] = json.loads(file.read_text())
    return found


def choose(facts_of):
    """The fusion whose code is best on the triples to validate on, mean over seeds."""
    means = {
        name: np.mean([validation_error(of) for of in seeds.values()])
        for name, seeds in facts_of.items()
        if name in FUSIONS
    }
    return min(means, key=means.get)


def validation_error(facts):
    return np.mean(list(facts["validation"].values()))


def spreads(seeds):
    keys = next(iter(seeds.values()))
    return {key: common.spread([of[key] for of in seeds.values()]) for key in keys}


def gain(ours, others):
    """Error of another model minus ours, seed by seed."""
    both = sorted(set(ours) & set(others))
    return common.spread([others[seed]["mse"] - ours[seed]["mse"] for seed in both])


def golden(images):
    """Four test triples: whole, and with one channel after another missing."""
    x = {name: of[:4].round(3) for name, of in images.items()}
    for sample, of in enumerate(x.values(), start=1):
        of[sample] = np.nan
    return x


def picture(args, images, chosen, seed):
    first = {name: of[: figures.SHOWN] for name, of in images.items()}
    training = data.Triples(data.load("train", args.data), 4096, seed=0).whole()
    rows = {"shared code": chosen, "separate": "separate"}
    for title, name in rows.items():
        run = Path(args.output, name, f"seed{seed}")
        rows[title] = evaluate.trained(run).predict(first, verbose=0)
    rows["PCA"] = scoring.principal_components(training, first)["pca"]
    return figures.reconstructions(first, rows)


if __name__ == "__main__":
    common.as_command(main)
