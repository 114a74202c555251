"""Write `zoomshift_flickr30k` and `zoomshift_coco_cn`: the models, without weights.

    KERAS_BACKEND=torch python recipes/retrieval/release.py

The images of these corpora may not be passed on, and were not at hand. A preset without
weights is the retriever of the paper's size, and says how to train it. With PyTorch it
is written without making its weights.
"""

import argparse
import contextlib
import sys
from pathlib import Path

import architecture
import card
import keras

from keras_mmfusion import presets

sys.path.append(str(Path(__file__).parents[1]))
import common


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--zoo", default=str(common.ZOO))
    args = parser.parse_args(argv)
    for corpus in card.CORPORA:
        name = f"zoomshift_{corpus}"
        model = untrained()
        presets.save(
            model,
            Path(args.zoo) / name,
            metadata=card.metadata(name, corpus, common.commit()),
            files={"README.md": card.text(name, corpus, model.count_params())},
            overwrite=True,
            weights=False,
        )
        print(f"{name}: written without weights to {Path(args.zoo) / name}")


def untrained():
    """The retriever of the paper's size; with PyTorch, of weights without values."""
    sizes = architecture.PAPER
    on_torch = keras.backend.backend() == "torch"
    with keras.device("meta") if on_torch else contextlib.nullcontext():
        return architecture.build("zoom_shift", sizes, sizes.vocabulary)


if __name__ == "__main__":
    main()
