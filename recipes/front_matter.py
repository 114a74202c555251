"""What the Hugging Face Hub reads of a card: YAML before the text, from the metadata.

Results are those of the released weights, so whoever scores them gets these numbers;
the text of a card has means over seeds. The specification is modelcard.md of
https://github.com/huggingface/hub-docs. A preset without weights has no results.
"""

import json
import re

HEAD = re.compile(r"\A---\n.*?\n---\n+", re.DOTALL)
# The weights are under the licence of the package; those of the data are in the text.
LICENSE = "apache-2.0"
# Data sets that are on the Hub by another name than ours in small letters.
DATASETS = {
    "ETTh1": ["ETDataset/ett"],
    "MNIST": ["ylecun/mnist"],
    "MNIST and the Free Spoken Digit Dataset": [
        "ylecun/mnist",
        "free-spoken-digit-dataset",
    ],
    "Noto Emoji with the words of Unicode CLDR, Chinese": ["noto-emoji", "cldr"],
    "Noto Emoji with the words of Unicode CLDR, English": ["noto-emoji", "cldr"],
}
# Of what is said or written in the data.
LANGUAGES = {
    "COCO-CN": "zh",
    "Flickr30K": "en",
    "IEMOCAP": "en",
    "MNIST and the Free Spoken Digit Dataset": "en",
    "MSP-IMPROV": "en",
    "Noto Emoji with the words of Unicode CLDR, Chinese": "zh",
    "Noto Emoji with the words of Unicode CLDR, English": "en",
}
# The Hub has no task for several modalities at once.
PIPELINES = {"forecasting": "time-series-forecasting"}
# Words in our names of metrics, and the names of these metrics on the Hub.
METRICS = {
    "accuracy": "accuracy",
    "f1": "f1",
    "ppv": "precision",
    "se": "recall",
    "recall": "recall",
    "r1": "recall",
    "r5": "recall",
    "r10": "recall",
    "mse": "mse",
    "mae": "mae",
}
COUNTS = ("beats",)  # of what was scored, among the metrics


def with_front_matter(card, metadata):
    """The card with its front matter, in place of one that it had.

    Args:
        card: str, Markdown.
        metadata: dict, the fields of `metadata.json`.
    """
    return f"{front_matter(metadata)}\n{HEAD.sub('', card)}"


def front_matter(metadata):
    """The lines from `---` to `---`. Values are JSON, which is YAML, too."""
    task, data = metadata["task"], metadata["dataset"]["name"]
    datasets = DATASETS.get(data) or [re.sub(r"\W+", "-", data.lower())]
    pipeline, results = PIPELINES.get(task), list(_results(metadata))
    metrics = sorted({metric["type"] for result in results for metric in result[1]})
    fields = {
        "language": LANGUAGES.get(data),
        "license": LICENSE,
        "library_name": "keras",
        "pipeline_tag": pipeline,
        "tags": ["keras_mmfusion", "multimodal", "fusion", task, *metadata["inputs"]],
        "datasets": datasets,
        "metrics": [name for name in metrics if name in METRICS.values()],
    }
    lines = [f"{key}: {_yaml(value)}" for key, value in fields.items() if value]
    if results:
        lines += ["model-index:", f"- name: {metadata['name']}", "  results:"]
    kind = {"type": pipeline or "other", "name": task}
    for protocol, found in results:
        about = {"type": datasets[0], "name": data, "config": protocol}
        lines += [f"  - task: {_yaml(kind)}"]
        lines += [f"    dataset: {_yaml({**about, 'split': 'test'})}", "    metrics:"]
        lines += [f"    - {_yaml(metric)}" for metric in found]
    return "\n".join(["---", *lines, "---", ""])


def _results(metadata):
    """Each protocol that the released weights were scored by, as a model index has it.

    Values without the name of a protocol are of the first one; others were of models
    of their own.
    """
    released = metadata["baselines"].get("released_weights", {})
    if not any(isinstance(values, dict) for values in released.values()):
        released = {next(iter(metadata["metrics"]), ""): released}
    for protocol, measured in metadata["metrics"].items():
        if protocol not in released:
            continue
        values = released[protocol]
        names = [n for n in measured if n not in COUNTS and values[n] is not None]
        yield (
            protocol,
            [{"type": _type(n), "value": values[n], "name": n} for n in names],
        )


def _type(name):
    """`accuracy` of `accuracy_noisy`; what the Hub has no name for keeps its own."""
    kinds = [METRICS[word] for word in name.split("_") if word in METRICS]
    return kinds[-1] if kinds else name


def _yaml(value):
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
