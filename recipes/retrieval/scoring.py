"""Recall of a retriever on a split, and of what knows colours and words only."""

import json
import sys
from pathlib import Path

import numpy as np

from keras_mmfusion.metrics import retrieval_metrics

sys.path.append(str(Path(__file__).parents[1]))
import common

RANKS = (1, 5, 10)
BINS = 4  # of each colour
NEIGHBOURS = 5


def score(model, part, rerank=None):
    """Recalls of a model on a `Part`, all captions and images of it."""
    images = model.index_images(part.images)
    texts = model.index_texts(part.texts)
    scores, image_scores = model.retrieval_scores(images, texts, rerank)
    return numbers(scores, part.caption_image, image_scores)


def numbers(scores, caption_image, image_scores=None):
    """Recalls both ways as a flat dict; the mean of all six first."""
    found = retrieval_metrics(scores, caption_image, image_scores, RANKS)
    recalls = {f"tr_r{k}": found.text_recall[k] for k in RANKS}
    recalls |= {f"ir_r{k}": found.image_recall[k] for k in RANKS}
    mean = float(np.mean(list(recalls.values())))
    return {
        "mean_recall": mean,
        **recalls,
        "tr_median_rank": found.text_median_rank,
        "ir_median_rank": found.image_median_rank,
    }


def chance(part):
    """Recalls of random scores: the mean of a hundred draws."""
    rng = np.random.default_rng(0)
    shape = (len(part.images), len(part.captions))
    draws = [numbers(rng.random(shape), part.caption_image) for _ in range(100)]
    return {key: float(np.mean([d[key] for d in draws])) for key in draws[0]}


def neighbours(train, part):
    """Recalls by the nearest training images in colour and captions in words.

    The score of an image and a caption is the sum over the training captions of how
    alike the histograms are, for the nearest images, times how alike the words are.
    """
    colours = histograms(part.images) @ histograms(train.images).T
    least = np.sort(colours, axis=1)[:, -NEIGHBOURS, None]
    colours = np.where(colours >= least, colours, 0.0)
    asked, known = bags(part.texts, train.texts)
    words = asked @ known.T
    return numbers(colours[:, train.caption_image] @ words.T, part.caption_image)


def histograms(images):
    """Unit vectors `(images, BINS ** 3)` of the roots of how often a colour occurs."""
    levels = (images // (256 // BINS)).astype("int64")
    codes = (levels * [BINS**2, BINS, 1]).sum(-1).reshape(len(images), -1)
    counts = np.stack([np.bincount(code, minlength=BINS**3) for code in codes])
    return np.sqrt(counts / counts.sum(axis=1, keepdims=True))


def bags(texts, train):
    """Unit vectors of the tokens of both, rare ones in training counting most."""
    size = max(texts.max(), train.max()) + 1
    counts = [
        np.array([np.bincount(t, minlength=size) for t in x]) for x in (texts, train)
    ]
    there = counts[1] > 0
    weights = np.log(len(train) / (1 + there.sum(axis=0)))
    weights[0] = 0.0  # padding
    vectors = [x * np.maximum(weights, 0.0) for x in counts]
    lengths = [np.linalg.norm(x, axis=1, keepdims=True) for x in vectors]
    return [x / np.maximum(n, 1e-12) for x, n in zip(vectors, lengths, strict=True)]


def read(output, corpus, file="test.json"):
    """`{model: {seed: numbers}}` of all runs that were scored."""
    found = {}
    for path in sorted(Path(output, corpus).glob(f"*/seed*/{file}")):
        seed = int(path.parent.name.removeprefix("seed"))
        found.setdefault(path.parents[1].name, {})[seed] = json.loads(path.read_text())
    return found


def print_table(rows):
    """Rows of `(name, [numbers of a seed, …])`: means and spread."""
    keys = list(next(iter(rows))[1][0])
    print(f"{'':34s} n " + " ".join(f"{key:>15s}" for key in keys))
    for name, seeds in rows:
        cells = []
        for key in keys:
            of = common.spread([numbers[key] for numbers in seeds])
            sd = "" if of["sd"] is None else f" ±{of['sd']:.3f}"
            cells.append(f"{of['mean']:.3f}{sd}")
        print(f"{name:34s}{len(seeds):2d} " + " ".join(f"{c:>15s}" for c in cells))
