"""The card and the metadata of a retriever of emoji, written from numbers."""

import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))
import common

RANKS = ("r1", "r5", "r10")
WAYS = {"tr": "captions for an image", "ir": "images for a caption"}
LANGUAGES = {"emoji_en": "English", "emoji_zh": "Chinese"}
EXAMPLES = {"emoji_en": "hot pepper", "emoji_zh": "辣椒"}
KINDS = {
    "chance": "chance",
    "neighbours": "neighbours in colours and words, nothing learned",
    "zoom_shift": "`zoom_shift`",
    "no_guide": "`zoom_shift` without its guide",
    "standardised": "`zoom_shift` without what its guide learns",
    "cross_attention": "`cross_attention`",
    "concat": "`concat`",
}
TOWERS = "_towers"  # behind the name of a model whose fusion is not asked
SPLIT = "four fifths of the pictures to train on, a tenth each to validate and to test"


@dataclass(frozen=True)
class Facts:
    """All that a card tells; every number was measured by this recipe."""

    name: str
    corpus: str
    model: str
    seed: int  # released: the best one on the images to validate on
    run: dict
    images: dict  # split to a count
    captions: dict
    tables: dict  # model to spreads of recalls on the images to test on
    validation: dict  # the same on those to validate on
    released: dict
    gains: dict  # other model to the spread of our mean recall minus its, seed by seed
    weights: dict  # seed to how much the fusion counts
    parameters: int
    shown: list  # (caption, rank of its picture) of the sheet

    @property
    def language(self):
        return LANGUAGES[self.corpus]


def metadata(facts):
    """The fields of `metadata.json` that `presets.save` cannot know."""
    return {
        "name": facts.name,
        "version": "1.0",
        "task": "retrieval",
        "inputs": {
            "image": {
                "range": [0.0, 255.0],
                "description": "red, green and blue of a picture on white",
            },
            "text": {
                "description": "numbers of tokens, 0 is padding; of a tokenizer "
                "learned from the captions to train on",
            },
        },
        "outputs": {
            "description": "one vector each for image and text, and whether they match"
        },
        "dataset": {
            "name": f"Noto Emoji with the words of Unicode CLDR, {facts.language}",
            "license": "Apache-2.0 (pictures), Unicode-3.0 (words)",
            "split": SPLIT,
            "url": "https://github.com/googlefonts/noto-emoji",
            "citation": "Noto Emoji, Google; Unicode Common Locale Data Repository.",
        },
        "metrics": {facts.corpus: facts.tables[facts.model]},
        "baselines": {
            "same_run": {n: t for n, t in facts.tables.items() if n != facts.model},
            "validation": facts.validation,
            "released_weights": facts.released,
            "gains": facts.gains,
            "weight_of_fusion": facts.weights,
            "images": facts.images,
            "captions": facts.captions,
        },
        "paper": {
            "source": 'Qin, "Zoom and Shift is All You Need"',
            "emoji": "not in the paper, which has photographs",
        },
        "recipe": common.trained_by(
            facts.run, facts.seed, "recipes/retrieval/train.py"
        ),
        "hardware": "a CPU core",
        "intended_use": "Search in small collections of emoji-like pictures, teaching, "
        "and as a starting point for collections of one's own.",
        "limitations": limitations(facts),
    }


def limitations(facts):
    return [
        "Drawn emoji on white only; of photographs it knows nothing.",
        f"Keywords in {facts.language}; of a sentence it sees the words, not their "
        "order. Words that no training caption has are read in parts.",
        f"Learned from {facts.images['train']:,} pictures and nothing else: no model "
        "that was trained before is inside.",
        f"{facts.images['test']} test pictures: a difference of 0.02 is three of them.",
    ]


def text(facts):
    """The card, in Markdown."""
    other = "zh" if facts.corpus == "emoji_en" else "en"
    parts = [
        f"# {facts.name}\n",
        f"Finds emoji by {facts.language} words and words for emoji: two small towers "
        "and `ZoomShiftFusion`, which looks at the best candidates again; "
        f"{facts.parameters:,} parameters.\n",
        "```bash\n"
        f'mmfusion search "{EXAMPLES[facts.corpus]}" --preset {facts.name} '
        "--images pictures --plot found.png\n"
        f"mmfusion caption-search picture.png --preset {facts.name}\n"
        "```\n",
        "```python\nfrom keras_mmfusion import presets\n\n"
        f'model = presets.load("{facts.name}")\n'
        'images = model.preprocessor.images(["a.png", "b.png"])\n'
        "index = model.index_images(images)\n"
        f'found = model.search(["{EXAMPLES[facts.corpus]}"], index, k=2)[0]\n'
        "```\n",
        "![The first pictures found for the words of test pictures](search.png)\n",
        f"Among the {facts.images['test']} test pictures: left the picture that is "
        "meant, then what is found for its first caption. Every one of these rows was "
        "taken by rule, at equal distances in the list of test pictures: "
        + "; ".join(f"“{words}” (rank {rank})" for words, rank in facts.shown)
        + ".\n",
        "## Results\n",
        f"Recalls on {facts.images['test']} test pictures and their "
        f"{facts.captions['test']} captions, each asked among all of them; an answer "
        "that scores as high as the right one counts as before it. Mean ± standard "
        f"deviation over n seeds; released is seed {facts.seed}, the best on the "
        f"pictures to validate on. Split: {SPLIT}.\n",
        _table(facts.tables, facts.model),
        "Released weights: mean recall "
        f"{facts.released['mean_recall']:.3f}; "
        + "; ".join(
            f"{name} "
            + ", ".join(f"{facts.released[f'{way}_{rank}']:.3f}" for rank in RANKS)
            for way, name in WAYS.items()
        )
        + ".\n",
        *_verdict(facts),
        "How much the second look counts was chosen for each seed on the pictures to "
        f"validate on: {', '.join(f'{w:g}' for w in facts.weights.values())}, where 0 "
        "leaves it out.\n",
        "Mean recalls on the pictures to validate on: "
        + ", ".join(
            f"{KINDS[name]} {_spread(of['mean_recall'])}"
            for name, of in facts.validation.items()
        )
        + ".\n",
        "## Limits\n",
        "".join(f"- {line}\n" for line in limitations(facts)),
        f"\nThe same in another language: `zoomshift_emoji_{other}`.\n",
        "## Training\n",
        f"`{facts.run['command']}`, seed {facts.seed}, commit {facts.run['commit']}, "
        f"{facts.run['backend']} on a shared CPU core, {facts.run['seconds']} s.\n",
        "Data: Noto Emoji, Apache License 2.0; names and keywords of Unicode CLDR, "
        "Unicode License v3.\n",
    ]
    return "\n".join(parts)


def _table(tables, ours):
    heads = [f"{WAYS[way]}, R@{rank[1:]}" for way in WAYS for rank in RANKS]
    keys = ["mean_recall", *(f"{way}_{rank}" for way in WAYS for rank in RANKS)]
    lines = ["| model | n | mean | " + " | ".join(heads) + " |"]
    lines += ["| --- |" + " --: |" * (len(keys) + 1)]
    for name, found in tables.items():
        kind = KINDS[name.removesuffix(TOWERS)]
        kind += ", towers alone" * name.endswith(TOWERS)
        kind = f"**{kind}**" if name == ours else kind
        cells = [_spread(found[key]) for key in keys]
        count = found["mean_recall"]["n"]
        lines.append(f"| {kind} | {count} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _spread(of):
    sd = "" if of["sd"] is None else f" ± {of['sd']:.3f}"
    return f"{of['mean']:.3f}{sd}"


def _verdict(facts):
    """What the fusion is worth, in a sentence for each comparison."""
    for other, gain in facts.gains.items():
        kind = KINDS[other.removesuffix(TOWERS)]
        kind += " by its towers alone" * other.endswith(TOWERS)
        sure = gain["sd"] is not None and abs(gain["mean"]) > 2 * gain["sd"]
        sd = "" if gain["sd"] is None else f" ± {gain['sd']:.3f}"
        yield (
            f"Against {kind}, mean recall changes by {gain['mean']:+.3f}{sd}: "
            f"{'more' if sure else 'no more'} than two standard deviations over "
            "seeds.\n"
        )
