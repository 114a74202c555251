"""The card and the metadata of a digit preset, written from numbers, never typed."""

import sys
from dataclasses import dataclass
from pathlib import Path

import scoring
from architecture import SIZES

sys.path.append(str(Path(__file__).parents[1]))
import common

# Of the presets that are not 1.0.
VERSIONS = {"convlstm_digits_second": "1.1"}
PAPER = "Barnum et al. (arXiv:2011.07191)"
TRAINED_WITH = {
    "incomplete": "without noise, one of the two missing in a fifth of the pairs",
    "original": "without noise",
    "noisy": "with noise: signal-to-noise ratios of 0.25 (image) and 0.5 (sound)",
    "mixed": "with any of ten levels of noise for each of the two",
}
KINDS = {
    "initial": "fuses image and sound in its first layer",
    "second": "fuses image and sound in its second layer",
    "fc": "fuses image and sound before its dense layers",
    "image": "sees only",
    "sound": "hears only",
}

NOISY_PICTURE = "over_time_noisy.png"
NOISY_TEXT = (
    "The same, of the network of this kind that was trained with noise, which is not "
    "released; of its seeds the best on the validation pairs:\n",
    f"![Probabilities over time, trained with noise]({NOISY_PICTURE})\n",
)


@dataclass(frozen=True)
class Facts:
    """All that a card tells; every number was measured by this recipe."""

    name: str
    network: str
    seed: int  # released: the best one on the validation pairs
    run: dict
    test_pairs: int
    noisy_pairs: int  # at each pair of levels of noise
    metrics: dict  # protocol to spreads
    released: dict
    baselines: dict  # group to network to spreads
    comparisons: dict  # noise of training to other network to `scoring.compare`
    pairs: dict  # (protocol, noise of training) to `scoring.pairs_of`
    speakers: list  # tested on in turn
    parameters: int


def metadata(facts):
    """The fields of `metadata.json` that `presets.save` cannot know."""
    return {
        "name": facts.name,
        "version": VERSIONS.get(facts.name, "1.0"),
        "task": "classification",
        "inputs": {
            "image": {
                "range": [0.0, 1.0],
                "description": "a grey image of 28 x 28, white on black, as one step",
            },
            "sound": {
                "sampling_rate": 8000.0,
                "description": "log(1 + magnitude) of the spectrogram, windows of 400 "
                "samples every 200",
            },
        },
        "outputs": {
            "classes": list(range(10)),
            "activation": "softmax",
            "description": "a probability for each digit",
        },
        "dataset": {
            "name": "MNIST and the Free Spoken Digit Dataset",
            "license": "CC BY-SA 3.0 (MNIST), CC BY-SA 4.0 (Free Spoken Digit Dataset)",
            "split": "images and recordings 8:1:1 at random, then paired within each "
            f"part; {facts.run['pairs']:,} pairs to train on, {facts.test_pairs:,} to "
            "test on; every speaker is in every part",
            "url": "https://github.com/Jakobovski/free-spoken-digit-dataset",
            "citation": "LeCun, Cortes, Burges: The MNIST database of handwritten "
            "digits. Jackson et al.: Free Spoken Digit Dataset, "
            "doi:10.5281/zenodo.1342401.",
        },
        "metrics": facts.metrics,
        "baselines": {
            **facts.baselines,
            "fusion_in_the_first_layer": {
                noise: {other: _kept(found) for other, found in of.items()}
                for noise, of in facts.comparisons.items()
            },
            "released_weights": facts.released,
            "pairs": {"original": facts.test_pairs, "noisy": facts.noisy_pairs},
            "training_pairs": {
                " ".join(key): {"fewest": min(of.values()), "most": max(of.values())}
                for key, of in facts.pairs.items()
            },
        },
        "paper": {"source": f"{PAPER}, Fig. 3", "accuracy": "heat maps only"},
        "recipe": common.trained_by(facts.run, facts.seed, "recipes/digits/train.py"),
        "hardware": "2 CPU cores",
        "intended_use": "Teaching, research on fusion, and as a starting point for "
        "fine-tuning.",
        "limitations": limitations(facts),
    }


def _kept(found):
    """Of a comparison, all but the maps."""
    counts = ("cells", "higher", "lower", "surely_higher", "surely_lower")
    difference = {
        "mean": round(found["mean"], 5),
        "sd": round(found["mean_spread"], 5) if found["seeds"] > 1 else None,
        "n": found["seeds"],
    }
    return {"difference": difference, **{key: found[key] for key in counts}}


def limitations(facts):
    return [
        "Ten English digits by six speakers, and digits written as in MNIST.",
        "The speakers of the test pairs were heard in training; "
        + (
            "for new ones see the protocol digits_speaker, of models trained without "
            "them."
            if "digits_speaker" in facts.metrics
            else "how it does with new ones has not been measured yet."
        ),
        "Image and sound are paired by their label: nothing else connects them.",
        f"A network of {SIZES[facts.run['size']][0]} units where the paper has "
        f"{SIZES['paper'][0]}, and recordings of {facts.run['samples'] // 8} ms where "
        "the paper pads to the longest.",
    ]


def text(facts, noisy_picture=False):
    """The card, in Markdown; of the picture of a network trained with noise, too."""
    parts = [
        f"# {facts.name}\n",
        "Names a digit that is written, spoken, or both: a convolutional LSTM that "
        f"{KINDS[facts.network]}; {facts.parameters:,} parameters. Either input may be "
        "missing.\n",
        "```python\nfrom keras_mmfusion import presets\n\n"
        f'model = presets.load("{facts.name}")\n'
        "inputs = model.preprocessor(image, sound, rate)  # (28, 28), (samples,), Hz\n"
        "model.predict(inputs)  # (1, 10)\n```\n",
        "`mmfusion classify-digit seven.png seven.wav` does the same for files.\n",
        "## Results\n",
        f"Trained {TRAINED_WITH['incomplete']}. Accuracy on {facts.test_pairs:,} test "
        "pairs without noise, whole and with one of the two missing; on "
        f"{facts.noisy_pairs:,} with a signal-to-noise ratio of 0.25 of the image and "
        "0.5 of the sound, and at each of 10 × 10 levels of noise from none to a ratio "
        "of 0.0625. Mean ± standard deviation over n seeds; released is seed "
        f"{facts.seed}, the best on the validation pairs.\n",
        _table({facts.network: facts.metrics["digits"], **_named(facts, "same_run")}),
        f"Released weights: {_released(facts)}.\n",
        *_speaker_section(facts),
        "## Does it pay to fuse early?\n",
        _trained_ways(facts),
        *_study(facts),
        f"{PAPER} claim that fusion in the first layer is never worse than `fc`, and "
        "worse than `second` only where the sound is much noisier than in training; "
        "they print heat maps and no numbers, of networks with 64 units. That is for "
        "the noise of `noisy` (section 4.3); for others, the appendix (A.3) claims it "
        "against `fc` where the ratio of the sound is above 1.\n",
        "## While it listens\n",
        "One test pair, drawn at random, at four levels of noise. After each step of "
        "the sound: what the released network would say if it ended there.\n",
        "![Probabilities over time](over_time.png)\n",
        *(NOISY_TEXT if noisy_picture else ()),
        "## Limits\n",
        "".join(f"- {line}\n" for line in limitations(facts)),
        "\n## Training\n",
        f"`{facts.run['command']}`, seed {facts.seed}, commit {facts.run['commit']}, "
        f"{facts.run['backend']} on a shared CPU core, {facts.run['seconds']} s.\n",
        "Data: MNIST (LeCun et al.), CC BY-SA 3.0; Free Spoken Digit Dataset (Jackson "
        "et al.), CC BY-SA 4.0.\n",
    ]
    return "\n".join(parts)


def _named(facts, group):
    return facts.baselines.get(group, {})


def _released(facts):
    return ", ".join(
        f"{title} {facts.released[key]:.4f}" for key, title in scoring.TITLES.items()
    )


def _speaker_section(facts):
    if "digits_speaker" not in facts.metrics:
        return []
    ours = {facts.network: facts.metrics["digits_speaker"]}
    return [
        "### Speakers never heard\n",
        "Models of their own, trained without the speakers to validate and to test "
        f"on, one after another {', '.join(facts.speakers)}; the images are those of "
        f"the table above. {_pairs(facts, 'digits_speaker', 'incomplete')}\n",
        _table({**ours, **_named(facts, "digits_speaker")}),
    ]


def _trained_ways(facts):
    """Whether this is the comparison of the paper."""
    if "noisy" in facts.comparisons:
        return (
            "The same networks, trained in other ways too; in the paper's Fig. 3, with "
            "noise.\n"
        )
    return (
        "Of the networks above, which were trained without noise: at most levels they "
        "hear and see what they never did before. Those of the paper's Fig. 3, which "
        "were trained with noise, have not been scored yet.\n"
    )


def _pairs(facts, protocol, noise):
    """What each network of a table was trained on."""
    of = facts.pairs[protocol, noise]
    most = max(of.values())
    told = f"Each was trained on {most:,} pairs, seen once"
    for network, pairs in of.items():
        told += f", `{network}` on {pairs:,}" * (pairs < most)
    fewer = " With more, their order may be another." * (most < facts.run["pairs"])
    return f"{told}.{fewer}"


def _study(facts):
    """For each way of training: accuracies, who wins where, heat maps."""
    for noise, found in facts.comparisons.items():
        yield f"### Trained {TRAINED_WITH[noise]}\n"
        yield f"{_pairs(facts, 'digits', noise)}\n"
        models = facts.baselines.get(f"trained_{noise}")
        if models:
            yield _table(models)
        for other, of in found.items():
            yield (
                f"Fusion in the first layer against `{other}`: {scoring.in_words(of)}\n"
            )
        if found:
            yield f"![Accuracy over the noise of both](heat_maps_{noise}.png)\n"


def _table(models):
    titles = scoring.TITLES
    rows = [
        f"| network | n | {' | '.join(titles.values())} |",
        f"|---|{'--:|' * (len(titles) + 1)}",
    ]
    for network, metrics in models.items():
        cells = " | ".join(
            _spread(metrics[key]) if key in metrics else "" for key in titles
        )
        label = f"`{network}`, {KINDS[network]}"
        count = next(iter(metrics.values()))["n"]
        rows.append(f"| {label} | {count} | {cells} |")
    return "\n".join(rows) + "\n"


def _spread(value):
    sd = "" if value["sd"] is None else f" ± {value['sd']:.4f}"
    return f"{value['mean']:.4f}{sd}"
