"""The cards and the metadata of the retrievers without weights."""

import architecture

PAPER = 'Qin, "Zoom and Shift is All You Need", Tables 1 and 2'
CORPORA = {
    "flickr30k": {
        "name": "Flickr30K",
        "license": "images by their owners at Flickr, for non-commercial research",
        "split": "Karpathy's, five captions an image",
        "images": {"train": 29_000, "validation": 1014, "test": 1000},
        "url": "https://shannon.cs.illinois.edu/DenotationGraph/",
        "citation": "Young et al.: From image descriptions to visual denotations. "
        "Transactions of the ACL 2, 2014.",
        "language": "English",
        "paper": {
            "text_recall": {"r1": 0.996, "r5": 1.0, "r10": 1.0},
            "image_recall": {"r1": 0.957, "r5": 0.992, "r10": 1.0},
        },
    },
    "coco_cn": {
        "name": "COCO-CN",
        "license": "by agreement, for research only; images by their owners at Flickr",
        "split": "as released",
        "images": {"train": 18_341, "validation": 1000, "test": 1000},
        "url": "https://github.com/li-xirong/coco-cn",
        "citation": "Li et al.: COCO-CN for cross-lingual image tagging, captioning "
        "and retrieval. IEEE Transactions on Multimedia 21(9), 2019.",
        "language": "Chinese",
        "paper": {"recall": {"r1": 0.907, "r5": 0.989, "r10": 1.0}},
    },
}
DIRECTIONS = {
    "text_recall": "texts for an image",
    "image_recall": "images for a text",
    # arXiv:2211.01335 has the row of its peer, CN-CLIP, under this direction.
    "recall": "one way, not said which; beside a row of images for a text",
}
DATASET = ("name", "license", "split", "url", "citation")


def metadata(name, corpus, commit):
    """The fields of `metadata.json` that `presets.save` cannot know."""
    about, sizes = CORPORA[corpus], architecture.PAPER
    return {
        "name": name,
        "version": "1.0",
        "task": "retrieval",
        "inputs": {
            "image": {
                "range": [0.0, 255.0],
                "description": f"red, green and blue of {sizes.image} x {sizes.image}",
            },
            "text": {
                "description": f"numbers of {sizes.length} tokens, 0 is padding; of a "
                "tokenizer learned from the captions to train on",
            },
        },
        "outputs": {
            "description": "one vector each for image and text, and whether they match"
        },
        "dataset": {key: about[key] for key in DATASET},
        "metrics": {},
        "baselines": {"images": about["images"]},
        "paper": {"source": PAPER, **about["paper"]},
        "recipe": {
            "command": command(corpus),
            "commit": commit,
            "script": "recipes/retrieval/train.py",
        },
        "hardware": "not trained",
        "intended_use": "Research on retrieval with fusion, for those who have the "
        "corpus.",
        "limitations": limitations(corpus),
    }


def command(corpus):
    return (
        f"python recipes/retrieval/train.py --corpus {corpus} --models zoom_shift "
        "--precision mixed_bfloat16"
    )


def limitations(corpus):
    return [
        "Without weights: the images may not be passed on, and were not at hand.",
        "The paper does not say whether its encoders had been trained before; from "
        "these captions alone, numbers like its own are not to be expected.",
        f"Captions in {CORPORA[corpus]['language']} only.",
    ]


def text(name, corpus, parameters):
    """The card, in Markdown."""
    about = CORPORA[corpus]
    rows = [
        f"| {DIRECTIONS[way]} | {rank.removeprefix('r')} | {value:.1%} | |"
        for way, recalls in about["paper"].items()
        for rank, value in recalls.items()
    ]
    images = ", ".join(f"{n:,} for {part}" for part, n in about["images"].items())
    return f"""# {name}

Finds images by texts and texts by images, with captions in {about["language"]}: a
ViT, a transformer and `ZoomShiftFusion`, {parameters:,} parameters; the paper
has 282 million.
**Without weights**: the images of {about["name"]} may not be passed on, and were not
at hand.

```python
from keras_mmfusion import presets

model = presets.load("{name}", load_weights=False)
```

To train it, see the [recipe](../../recipes/retrieval); it needs a GPU.

```bash
{command(corpus)}
```

| found | among the first | paper | ours |
| --- | --: | --: | --: |
{chr(10).join(rows)}

{PAPER}. We have measured nothing.
Split: {about["split"]}; images: {images}.

## Limits

{"".join(f"- {line}" + chr(10) for line in limitations(corpus))}
{about["citation"]}
"""
