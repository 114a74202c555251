"""Time of a search among 100,000 items, beside scikit-learn.

    python benchmarks/search.py > docs/benchmarks/search.csv

`vectors` is the search by unit vectors alone, for 1 and for 32 queries of 128 numbers;
scikit-learn does the same by `NearestNeighbors(algorithm="brute", metric="cosine")`,
and is first seen to find the same. `text` is `FusionRetriever.search` of one text from
its tokens to its names, `re-ranked` with the first 16 looked at again by
`ZoomShiftFusion`; of these there is no reference. The model is a small one and
untrained, which costs the same.
"""

import argparse
import contextlib
import json
import sys

import numpy as np
import turns

SIZES = {"items": 100_000, "dim": 128, "length": 32, "tokens": 36, "width": 64}
SMOKE = {"items": 200, "dim": 8, "length": 4, "tokens": 4, "width": 8}
FOUND = 10
QUERIES = (1, 32)
FIELDS = ["call", "backend", "clock", "ms", "ms_min", "ms_max"]
FIELDS += ["reference", "reference_ms", "ratio", "ratio_min", "ratio_max"]
FIELDS += ["turns", "threads"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    turns.add_arguments(parser)
    args = parser.parse_args()
    if args.here:
        return serve(**json.loads(args.here))
    sizes, count = (SMOKE, 2) if args.smoke else (SIZES, args.turns)
    table = turns.writer(FIELDS)
    for row in measure(args.backends, sizes, count, args.threads):
        table.writerow(row)
        sys.stdout.flush()
    return 0


def measure(backends, sizes, count, threads):
    with contextlib.ExitStack() as stack:

        def start(backend, who):
            case = {"who": who, "sizes": sizes}
            worker = turns.Worker(__file__, case, backend, threads)
            return stack.enter_context(worker)

        peer = start("numpy", "scikit-learn")
        ours = [start(backend, "ours") for backend in backends]
        common = {"turns": count, "threads": threads}
        for queries in QUERIES:
            name = f"vectors, {queries}"
            turns.check_equal(ours[0], peer, name, tolerance=0.5)
            theirs, run = turns.race([peer, ours[0]], name, count)
            # NumPy's work, whatever the backend.
            row = {"call": name, "backend": "numpy", "reference": "scikit-learn"}
            for clock in turns.CLOCKS:
                times = turns.compare(run, theirs, clock)
                yield row | common | {"clock": clock} | times
        for name in ("text", "text, re-ranked"):
            runs = turns.race(ours, name, count)
            for backend, run in zip(backends, runs, strict=True):
                for clock in turns.CLOCKS:
                    row = {"call": name, "backend": backend, "clock": clock}
                    yield row | common | turns.compare(run, None, clock)


# In the process of a case.


def serve(who, sizes):
    rng = np.random.default_rng(0)
    shape = (sizes["items"] + max(QUERIES), sizes["dim"])
    vectors = rng.standard_normal(shape).astype("float32")
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    gallery, queries = vectors[: sizes["items"]], vectors[sizes["items"] :]
    make = peer_calls if who == "scikit-learn" else our_calls
    turns.serve({}, make(gallery, queries, sizes))


def peer_calls(gallery, queries, sizes):
    from sklearn.neighbors import NearestNeighbors

    found = NearestNeighbors(n_neighbors=FOUND, algorithm="brute", metric="cosine")
    found.fit(gallery)
    return {
        f"vectors, {n}": lambda n=n: found.kneighbors(queries[:n])[1] for n in QUERIES
    }


def our_calls(gallery, queries, sizes):
    from keras_mmfusion.models import RetrievalIndex
    from keras_mmfusion.models.retrieval_index import nearest

    model = retriever(sizes)
    items, tokens = sizes["items"], sizes["tokens"]
    # One item's features for all: what they are does not change what it costs.
    features = np.ones((1, tokens, sizes["width"]), "float16")
    index = RetrievalIndex(
        "image",
        gallery,
        tuple(map(str, range(items))),
        np.broadcast_to(features, (items, *features.shape[1:])),
        np.broadcast_to(np.ones((1, tokens), bool), (items, tokens)),
    )
    text = 1 + np.arange(sizes["length"])[None]

    def search(rerank):
        return model.search(text, index, FOUND, rerank=rerank)[0].similarities

    return {
        **{
            f"vectors, {n}": lambda n=n: nearest(queries[:n], gallery, FOUND)[0]
            for n in QUERIES
        },
        "text": lambda: search(0),
        "text, re-ranked": lambda: search(16),
    }


def retriever(sizes):
    import keras

    from keras_mmfusion.layers import ATDEncoder
    from keras_mmfusion.models import FusionRetriever

    width, side = sizes["width"], 8 * round(sizes["tokens"] ** 0.5)
    words = keras.layers.Embedding(3000, width, mask_zero=True)
    return FusionRetriever(
        inputs={"image": (side, side, 3), "text": (sizes["length"],)},
        encoders={
            "image": ATDEncoder(width, num_heads=4, patch=(8, 8), name="image_encoder"),
            "text": keras.Sequential(
                [words, ATDEncoder(width, 2, 4)], name="text_encoder"
            ),
        },
        fusion="zoom_shift",
        fusion_options={"num_heads": 4},
        dim=width,
        embedding_dim=sizes["dim"],
    )


if __name__ == "__main__":
    sys.exit(main())
