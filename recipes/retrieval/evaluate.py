"""Score the trained retrievers on the images to test on, and print the table.

    KERAS_BACKEND=jax python recipes/retrieval/evaluate.py --corpus emoji_en

Every run is scored once, by its towers alone and with the second look as it was chosen
on the images to validate on. Beside them, chance, and neighbours in colours and words.
"""

import argparse
import json
import sys
from pathlib import Path

import data
import scoring

sys.path.append(str(Path(__file__).parents[1]))
import common
import resuming


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--corpus", choices=data.CORPORA, default="emoji_en")
    parser.add_argument("--data", help="folder with the corpus")
    parser.add_argument("--output", default="runs/retrieval")
    args = parser.parse_args(argv)
    common.check_runs([Path(args.output, args.corpus)])
    prepare = data.preprocessor(args.corpus, args.data)
    train, test = (
        data.load(args.corpus, split, prepare, args.data) for split in ("train", "test")
    )
    for run in sorted(Path(args.output, args.corpus).glob("*/seed*/run.json")):
        file = run.with_name("test.json")
        if not file.exists():
            model = trained(run.parent, args.corpus, prepare)
            found = {
                "towers": scoring.score(model, test, rerank=0),
                "reranked": scoring.score(
                    model, test, rerank=model.rerank if model.rerank_weight else 0
                ),
            }
            resuming.write_whole(file, json.dumps(found, indent=2).encode())
    rows = [("chance", [scoring.chance(test)])]
    if data.is_small(args.corpus):
        baseline = scoring.neighbours(train, test)
        rows += [("neighbours in colours and words", [baseline])]
    for name, seeds in scoring.read(args.output, args.corpus).items():
        for way in ("towers", "reranked"):
            rows.append((f"{name}, {way}", [of[way] for of in seeds.values()]))
    scoring.print_table(rows)


def trained(run, corpus, prepare):
    """The model of a run, with its second look as chosen."""
    model = data.model(run.parent.name, corpus, prepare)
    model.load_weights(run / "model.weights.h5")
    facts = json.loads((run / "run.json").read_text())
    model.rerank_weight = facts["rerank_weight"]
    return model


if __name__ == "__main__":
    common.as_command(main)
