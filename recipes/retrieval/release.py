"""Write the presets of this recipe: `zoomshift_` with the name of a corpus.

    KERAS_BACKEND=torch python recipes/retrieval/release.py emoji_en emoji_zh

Of emoji, released is the seed of `zoom_shift` with the best recall on the images to
validate on. The images of the other corpora may not be passed on, and were not at hand:
their presets are without weights, are the retriever of the paper's size, and say how to
train it. With PyTorch these are written without making weights.
"""

import argparse
import contextlib
import sys
from pathlib import Path

import architecture
import card
import data
import emoji_card
import evaluate
import figures
import keras
import scoring

from keras_mmfusion import presets

sys.path.append(str(Path(__file__).parents[1]))
import common
from front_matter import with_front_matter

MODEL = "zoom_shift"


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "corpora", nargs="*", metavar="CORPUS", help=f"of {', '.join(data.CORPORA)}"
    )
    parser.add_argument("--data", help="folder with emoji/")
    parser.add_argument("--output", default="runs/retrieval")
    parser.add_argument("--zoo", default=str(common.ZOO))
    args = parser.parse_args(argv)
    unknown = sorted(set(args.corpora) - set(data.CORPORA))
    if unknown:
        parser.error(f"corpora are {', '.join(data.CORPORA)}. Received: {unknown}")
    for corpus in args.corpora or data.CORPORA:
        if corpus in card.CORPORA:
            release_untrained(corpus, args.zoo)
        else:
            release(corpus, args)


def release(corpus, args):
    """A retriever of emoji, with its weights."""
    name = f"zoomshift_{corpus}"
    common.check_runs(
        [Path(args.output, corpus, MODEL)],
        "seed*/test.json",
        "train.py and evaluate.py",
    )
    runs = scoring.read(args.output, corpus, "run.json")
    tested = scoring.read(args.output, corpus)
    seeds = runs[MODEL]
    seed = max(seeds, key=lambda s: seeds[s]["validation"]["mean_recall"])
    prepare = data.preprocessor(corpus, args.data)
    parts = {
        split: data.load(corpus, split, prepare, args.data)
        for split in ("train", "val", "test")
    }
    # What `caption-search` chooses from.
    prepare.captions = list(dict.fromkeys(parts["train"].captions))
    run = Path(args.output, corpus, MODEL, f"seed{seed}")
    model = evaluate.trained(run, corpus, prepare)
    shown, figure = figures.found(model, parts["test"])
    facts = emoji_card.Facts(
        name=name,
        corpus=corpus,
        model=MODEL,
        seed=seed,
        run=seeds[seed],
        images={split: len(part.images) for split, part in parts.items()},
        captions={split: len(part.captions) for split, part in parts.items()},
        tables=tables(tested, parts),
        validation=validation(runs, parts),
        released=rounded(tested[MODEL][seed]["reranked"]),
        gains=gains(tested, scoring.neighbours(parts["train"], parts["test"])),
        weights={f"seed {s}": of["rerank_weight"] for s, of in seeds.items()},
        parameters=model.count_params(),
        shown=shown,
    )
    metadata = emoji_card.metadata(facts)
    presets.save(
        model,
        Path(args.zoo) / name,
        metadata=metadata,
        golden=golden(parts["test"]),
        files={
            "README.md": with_front_matter(emoji_card.text(facts), metadata),
            "search.png": common.small_png(figure),
            "train_log.csv": run / "train_log.csv",
        },
        overwrite=True,
    )
    path = Path(args.zoo, "results.csv")
    released = {MODEL: facts.released}
    common.write_results(path, corpus, facts.tables, released, {MODEL: name})
    print(f"{name}: seed {seed} released in {Path(args.zoo) / name}", flush=True)


def tables(tested, parts):
    """Spreads of recalls over seeds: chance, neighbours, every model both ways."""
    found = {
        "chance": spreads([scoring.chance(parts["test"])]),
        "neighbours": spreads([scoring.neighbours(parts["train"], parts["test"])]),
    }
    for name, seeds in ordered(tested):
        found[name] = spreads([of["reranked"] for of in seeds.values()])
        found[name + emoji_card.TOWERS] = spreads(
            [of["towers"] for of in seeds.values()]
        )
    return found


def validation(runs, parts):
    """The same of the images to validate on; models with their second look only."""
    found = {"neighbours": spreads([scoring.neighbours(parts["train"], parts["val"])])}
    for name, seeds in ordered(runs):
        found[name] = spreads([of["validation"] for of in seeds.values()])
    return found


def gains(tested, neighbours):
    """Our mean recall minus that of others, seed by seed."""
    ours = tested[MODEL]
    # Nothing is drawn there: the same beside each seed.
    others = {"neighbours": dict.fromkeys(ours, neighbours)}
    others |= {
        name: {seed: of["reranked"] for seed, of in seeds.items()}
        for name, seeds in ordered(tested)
        if name != MODEL
    }
    others[MODEL + emoji_card.TOWERS] = {s: of["towers"] for s, of in ours.items()}
    return {
        name: common.spread(
            [
                ours[seed]["reranked"]["mean_recall"] - seeds[seed]["mean_recall"]
                for seed in sorted(set(ours) & set(seeds))
            ]
        )
        for name, seeds in others.items()
    }


def ordered(models):
    """Items of a dict by model, in the order of the table."""
    return [(name, models[name]) for name in architecture.MODELS if name in models]


def spreads(seeds):
    return {key: common.spread([of[key] for of in seeds]) for key in seeds[0]}


def rounded(numbers):
    return {key: round(value, 5) for key, value in numbers.items()}


def golden(part):
    """Four test images, each with its first caption."""
    rows = part.first_captions[:4]
    return {"image": part.images[:4], "text": part.texts[rows]}


def release_untrained(corpus, zoo):
    name = f"zoomshift_{corpus}"
    model = untrained()
    metadata = card.metadata(name, corpus, common.commit())
    text = card.text(name, corpus, model.count_params())
    presets.save(
        model,
        Path(zoo) / name,
        metadata=metadata,
        files={"README.md": with_front_matter(text, metadata)},
        overwrite=True,
        weights=False,
    )
    print(f"{name}: written without weights to {Path(zoo) / name}", flush=True)


def untrained():
    """The retriever of the paper's size; with PyTorch, of weights without values."""
    sizes = architecture.PAPER
    on_torch = keras.backend.backend() == "torch"
    with keras.device("meta") if on_torch else contextlib.nullcontext():
        return architecture.build("zoom_shift", sizes, sizes.vocabulary)


if __name__ == "__main__":
    common.as_command(main)
