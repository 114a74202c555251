"""The card and the metadata of `mcwsa_mnist`, written from numbers, never typed."""

import sys
from dataclasses import dataclass
from pathlib import Path

from architecture import CHANNELS, CODE

from keras_mmfusion.models import FUSIONS

sys.path.append(str(Path(__file__).parents[1]))
import common

PAPER = (
    'Zheng et al., "Multi-channel weight-sharing autoencoder based on cascade '
    'multi-head attention"'
)
KINDS = {
    "separate": f"three autoencoders, {CODE // len(CHANNELS)} numbers each",
    "separate_wide": f"three autoencoders, {CODE} numbers each",
    "pca": f"principal components, {CODE // len(CHANNELS)} a channel",
    "pca_joint": f"principal components, {CODE} of all channels together",
}
TITLES = {
    "mse": "all",
    **{f"mse_{name}": ", ".join(map(str, digits)) for name, digits in CHANNELS.items()},
}


@dataclass(frozen=True)
class Facts:
    """All that a card tells; every number was measured by this recipe."""

    name: str
    model: str
    seed: int  # released: the best one on the validation triples
    run: dict
    triples: int  # to test on
    tables: dict  # model to spreads
    released: dict
    gains: dict  # other model to the spread of its error minus ours
    parameters: dict  # model to a count


def metadata(facts):
    """The fields of `metadata.json` that `presets.save` cannot know."""
    return {
        "name": facts.name,
        "version": "1.0",
        "task": "reconstruction",
        "inputs": {
            name: {
                "range": [0.0, 1.0],
                "description": f"a grey image of a digit of {digits}, white on black",
            }
            for name, digits in CHANNELS.items()
        },
        "outputs": {"description": "the same images, from a code that all share"},
        "dataset": {
            "name": "MNIST",
            "license": "CC BY-SA 3.0",
            "split": "the training part of MNIST, its last 5,000 images to validate "
            "on, and the test part of MNIST; an image of each channel drawn at random "
            f"makes a triple, {facts.triples:,} of them to test on",
            "url": "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
            "mnist.npz",
            "citation": "LeCun, Cortes, Burges: The MNIST database of handwritten "
            "digits.",
        },
        "metrics": {"mnist_channels": facts.tables[facts.model]},
        "baselines": {
            "same_run": {n: t for n, t in facts.tables.items() if n != facts.model},
            "gains": facts.gains,
            "released_weights": facts.released,
            "parameters": facts.parameters,
            "code": {"shared": CODE, "separate": CODE // len(CHANNELS)},
            "triples": facts.triples,
        },
        "paper": {"source": f"{PAPER}, Fig. 6", "errors": "a picture only"},
        "recipe": common.trained_by(
            facts.run, facts.seed, "recipes/mnist_channels/train.py"
        ),
        "hardware": "a CPU core",
        "intended_use": "Teaching and research on fusion; an example of "
        "FusionAutoencoder with weights.",
        "limitations": LIMITS,
    }


LIMITS = [
    "Digits written as in MNIST, each in the channel it was trained for.",
    "The three images of a triple have nothing to do with each other, as in the "
    "paper: a shared code can at best share its size out well. It does not show that "
    "modalities that belong together are fused well.",
    "That the fusion is chosen on the triples to validate on, and is not cascade "
    "attention as in the paper, was decided after the test errors had been seen; both "
    "put the two in the same order.",
    "Sizes are ours; the paper does not tell those of this experiment.",
]


def text(facts):
    """The card, in Markdown."""
    ours = facts.tables[facts.model]
    parts = [
        f"# {facts.name}\n",
        "Three images of digits, one of 0 to 2, one of 3 to 5 and one of 6 to 8, to "
        f"one code of {CODE} numbers and back: a `FusionAutoencoder` with the fusion "
        f"`{facts.model}`, {facts.parameters[facts.model]:,} parameters. An image "
        "alone has 784 pixels. Of the fusions in the table, this one was chosen on the "
        "triples to validate on.\n",
        "```python\nfrom keras_mmfusion import presets\n\n"
        f'model = presets.load("{facts.name}")\n'
        "x = {name: images / 255 for name, images in channels.items()}"
        "  # (batch, 28, 28, 1)\n"
        "model.predict(x)  # the same names and shapes\n"
        f"model.code(x)  # (batch, 1, {CODE})\n"
        "```\n",
        "![Inputs and reconstructions](reconstructions.png)\n",
        "## Results\n",
        f"Mean squared error of pixels from 0 to 1, on {facts.triples:,} triples of "
        "test images. Mean ± standard deviation over n seeds; released is seed "
        f"{facts.seed}, the best on the triples to validate on.\n",
        _table(facts),
        "Released weights: "
        + ", ".join(f"{t} {facts.released[k]:.5f}" for k, t in TITLES.items())
        + ".\n",
        *_verdict(facts, ours),
        f"{PAPER} show this experiment as a picture of inputs and outputs, without "
        "numbers.\n",
        "## Limits\n",
        "".join(f"- {line}\n" for line in LIMITS),
        "\n## Training\n",
        f"`{facts.run['command']}`, seed {facts.seed}, commit {facts.run['commit']}, "
        f"{facts.run['backend']} on a shared CPU core, {facts.run['seconds']} s.\n",
        "Data: MNIST (LeCun et al.), CC BY-SA 3.0.\n",
    ]
    return "\n".join(parts)


def _table(facts):
    head = ["model", "parameters", "n", *(f"MSE, {t}" for t in TITLES.values())]
    lines = [" | ".join(head), " | ".join(["---"] * len(head))]
    for name, spreads in facts.tables.items():
        cells = [_spread(spreads[key]) for key in TITLES]
        kind = KINDS.get(name, f"shared code, `{name}`" if name in FUSIONS else name)
        count = facts.parameters.get(name)
        mark = "**" if name == facts.model else ""
        count = "" if count is None else f"{count:,}"
        lines.append(
            " | ".join([f"{mark}{kind}{mark}", count, str(spreads["mse"]["n"]), *cells])
        )
    return "\n".join(f"| {line} |" for line in lines) + "\n"


def _spread(of):
    sd = "" if of["sd"] is None else f" ± {of['sd']:.5f}"
    return f"{of['mean']:.5f}{sd}"


def _verdict(facts, ours):
    """Whether sharing the code helps, in a sentence for each comparison."""
    for other, gain in facts.gains.items():
        kind = KINDS.get(other, f"a shared code with the fusion `{other}`")
        way = "lower" if gain["mean"] > 0 else "higher"
        sure = gain["sd"] is not None and abs(gain["mean"]) > 2 * gain["sd"]
        beyond = "more" if sure else "no more"
        yield (
            f"Against {kind}: {way} by {abs(gain['mean']):.5f} ± {gain['sd']:.5f}, "
            f"which is {beyond} than two standard deviations over seeds.\n"
        )
