"""How many weights each fusion adds to encoders of the papers' sizes.

    KERAS_BACKEND=torch python benchmarks/parameters.py > docs/benchmarks/parameters.csv

Weights are counted, not made: with PyTorch they need no memory.
"""

import argparse
import csv
import sys

import keras

from keras_mmfusion.models import FUSIONS, paper_retriever

# In millions: each paper of its own fusion (ATD, Table 1; step fusion, Table 7; zoom
# and shift, Table 10, under the name of ATD), and all three of the others.
REPORTED = {
    ("cnn_lstm", "atd"): 70,
    ("cnn_lstm", "step"): 70,
    ("cnn_lstm", "zoom_shift"): 70,
    ("cnn_lstm", "lmf"): 71,
    ("cnn_lstm", "cross_attention"): 160,
    ("transformer_vit", "atd"): 282,
    ("transformer_vit", "step"): 282,
    ("transformer_vit", "zoom_shift"): 282,
    ("transformer_vit", "lmf"): 283,
    ("transformer_vit", "cross_attention"): 370,
}
COLUMNS = ("encoders", "fusion", "of_encoders", "of_fusion", "in_all", "reported")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--smoke", action="store_true", help="the smaller encoders")
    args = parser.parse_args()
    if keras.backend.backend() != "torch":
        raise SystemExit(
            "Weights without memory need KERAS_BACKEND=torch. "
            f"Received: {keras.backend.backend()}."
        )
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(COLUMNS)
    for encoders in ("cnn_lstm", "transformer_vit")[: 1 if args.smoke else 2]:
        for fusion in FUSIONS:
            writer.writerow(count(encoders, fusion))
            sys.stdout.flush()


def count(encoders, fusion):
    """A row of the table."""
    with keras.device("meta"):
        model = paper_retriever(encoders, fusion)
    of_encoders = sum(
        model.get_layer(f"{name}_encoder").count_params() for name in model.modalities
    )
    of_fusion = model.get_layer("fusion").count_params()
    reported = REPORTED.get((encoders, fusion), "")
    return encoders, fusion, of_encoders, of_fusion, model.count_params(), reported


if __name__ == "__main__":
    main()
