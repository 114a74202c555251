"""Compute the features of a corpus, once.

    python recipes/emotion/prepare.py --corpus iemocap --words GoogleNews-vectors.bin.gz

Reads the recordings, transcripts and videos, and leaves `features.npz` under `runs/`.
"""

import argparse
import sys
from pathlib import Path

import features
import numpy as np

sys.path.append(str(Path(__file__).parents[1]))
import common
import resuming


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--corpus", choices=features.CORPORA, required=True)
    parser.add_argument("--words", help="file of word2vec or GloVe, 300 dimensions")
    parser.add_argument(
        "--frames",
        default="imagenet",
        help="weights of the ResNet-50: imagenet (downloaded), a file, random, or "
        "none to leave the video out (default: imagenet)",
    )
    parser.add_argument("--every", type=int, default=3, help="one of so many frames")
    parser.add_argument("--data", help="folder above that of the corpus")
    resuming.add_output(parser, "runs/emotion")
    parser.add_argument(
        "--any-counts", action="store_true", help="accept a part of the corpus"
    )
    args = parser.parse_args(argv)
    options = {"expected_counts": None} if args.any_counts else {}
    corpus = features.load_corpus(args.corpus, args.data, **options)
    vectors = features.word_vectors(args.words, corpus)
    network = None
    if args.frames != "none":
        weights = None if args.frames == "random" else args.frames
        network = features.frame_network(weights)
    arrays = features.of_corpus(corpus, vectors, network, args.every)
    file = file_of(args.output, args.corpus)
    names = np.array([turn.name for turn in corpus.turns])
    resuming.save_arrays(file, names=names, **arrays)
    print(f"{file}: {len(names):,} turns", flush=True)
    for name, values in arrays.items():
        count = np.isnan(values).reshape(len(values), -1).all(axis=1).sum()
        print(f"without {name}: {count:,}", flush=True)


def file_of(output, corpus):
    return Path(output) / corpus / "features.npz"


if __name__ == "__main__":
    common.as_command(main)
