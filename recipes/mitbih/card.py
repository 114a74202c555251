"""The card and the metadata of a preset, written from numbers, never typed."""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parents[1]))
import common

PAPERS = {
    "atd": "ATD (arXiv:2306.16950), Table 1",
    "step": "Step fusion (Qin et al.), Table 2",
}
REPORTED = {"accuracy": 0.989, "f1": 0.982}
SPLITS = {
    "interpatient": "AAMI EC57 inter-patient: trained on DS1 (22 records), tested on "
    "DS2 (22 other records), paced records and class Q left out",
    "random_nlrav": "random 80/20 split of beats N, L, R, A, V of all 48 records, "
    "stratified, seed 0: beats of one patient on both sides",
    "random_aami5": "random 80/20 split of the beats of all 48 records into the five "
    "AAMI classes, stratified, seed 0: beats of one patient on both sides",
}
METRIC_NAMES = {
    "accuracy": "accuracy",
    "macro_f1": "macro-F1, all classes",
    "macro_f1_nsv": "macro-F1, N S V",
    "weighted_f1": "weighted F1",
    "kappa": "Cohen's κ",
    "j_kappa": "j·κ",
    "S_f1_without_232": "S F1 without record 232",
}


@dataclass(frozen=True)
class Facts:
    """All that a card tells; every number was measured by this recipe."""

    name: str
    protocol: str
    variant: str
    classes: tuple
    seeds: list  # of the members of the released model
    chosen: bool  # by validation, among several
    models: int  # that the means are over
    run: dict
    metrics: dict
    released: dict
    validation: dict | None
    baselines: dict
    aami5: dict
    detected: dict
    subsets: dict
    confusion: np.ndarray
    parameters: int

    @property
    def causal(self):
        return self.variant.endswith("_causal")

    @property
    def interpatient(self):
        return self.protocol == "interpatient"


def metadata(facts):
    """The fields of `metadata.json` that `presets.save` cannot know."""
    return {
        "name": facts.name,
        "version": "1.1",
        "task": "classification",
        "inputs": {
            "ecg": {
                "units": "mV",
                "sampling_rate": 180.0,
                "description": "beats x samples x (waveforms of two leads, then their "
                "differences from the patient's template)",
            },
            "image": {
                "units": "mV",
                "sampling_rate": 180.0,
                "description": "the waveforms, drawn inside the model as Gramian "
                "angular fields",
            },
            "rhythm": {"description": "log RR interval before, after, over the mean"},
            "shape": {"description": "shape of the beat over the patient's usual one"},
        },
        "outputs": {
            "classes": list(facts.classes),
            "activation": "softmax",
            "description": "a row of probabilities for each beat of the segment",
        },
        "dataset": {
            "name": "MIT-BIH Arrhythmia Database",
            "version": "1.0.0",
            "license": "ODC-By 1.0",
            "split": SPLITS[facts.protocol],
            "url": "https://physionet.org/content/mitdb/1.0.0/",
            "citation": "Moody GB, Mark RG. The impact of the MIT-BIH Arrhythmia "
            "Database. IEEE Eng in Med and Biol 20(3):45-50, 2001.",
        },
        "metrics": {facts.protocol: facts.metrics},
        "baselines": {
            "same_run": {name: _shown(m) for name, m in facts.baselines.items()},
            "random_aami5": {name: _shown(m) for name, m in facts.aami5.items()},
            "validation": facts.validation or {},
            "released_weights": {
                k: round(float(v), 5) for k, v in facts.released.items()
            },
            "detected_beats": facts.detected,
            "subsets_of_modalities": facts.subsets,
        },
        "paper": {"source": PAPERS[facts.variant.removesuffix("_causal")], **REPORTED},
        "recipe": {
            "command": facts.run["command"],
            "commit": facts.run["commit"],
            "seed": facts.seeds,
            "script": "recipes/mitbih/train.py",
            "time": f"{facts.run['seconds']} s for one seed",
        },
        "hardware": "2 CPU cores",
        "intended_use": "Research, teaching and as a starting point for fine-tuning.",
        "limitations": limitations(facts),
    }


def _shown(metrics):
    return {k: v for k, v in metrics.items() if k in METRIC_NAMES or "_f1" in k}


def limitations(facts):
    lines = [
        "Not a medical device; not for diagnosis.",
        f"Trained on {22 if facts.interpatient else 48} half-hour tapes of the 1970s, "
        "from one hospital.",
    ]
    if facts.interpatient:
        lines += [
            "Fusion beats (F) of a new patient are hardly recognised.",
            "Records 201 (DS1) and 202 (DS2) are of one person, as in all work on "
            "this split; record 232 holds 75 % of the S beats of DS2.",
            "The test figures use the annotated R peaks.",
        ]
    else:
        lines.append(
            "Beats of one patient are on both sides of the split: the figures say "
            "nothing about new patients. Use it to compare with the papers only."
        )
    if facts.causal:
        lines.append("Sees the past only; a beat is ready 0.35 s after its R peak.")
    else:
        lines.append(
            "Template, mean interval and neighbouring beats use the whole recording, "
            "the future included."
        )
    return lines


def text(facts):
    """The card, in Markdown."""
    parts = [
        f"# {facts.name}\n",
        f"Labels each beat of an ECG as {', '.join(facts.classes)}: {_kind(facts)}"
        f" with the fusion `{facts.variant.removesuffix('_causal')}` "
        f"over the modalities waveform, image, rhythm and shape; "
        f"{facts.parameters:,} parameters.\n",
        "```python\nfrom keras_mmfusion import presets\n\n"
        f'model = presets.load("{facts.name}")\n'
        'beats = model.predict_record("mitdb/100")\n```\n',
        f"Protocol: {SPLITS[facts.protocol]}.\n",
        f"## Results on the {'DS2' if facts.interpatient else 'held-out'} beats\n",
        f"Mean ± standard deviation over {facts.models} models"
        + (f" of {len(facts.seeds)} seeds each" if len(facts.seeds) > 1 else "")
        + f"; the released one is of {_seeds(facts)}, "
        + (
            "the best in the validation inside DS1.\n"
            if facts.chosen
            else "the first.\n"
        ),
        _results_table(facts),
        "![Confusion matrix](confusion.png)\n",
        "## Beside it, from the same run\n",
        _baseline_table({facts.variant: facts.metrics, **facts.baselines}),
        _gain(facts),
        *([_aami5_section(facts)] if facts.aami5 else []),
        "## With modalities missing\n",
        "The released weights, with the other modalities or the other lead set to "
        "missing.\n",
        _subset_table(facts),
        *([_detected_section(facts)] if facts.detected else []),
        "## What the paper reports\n",
        f"{PAPERS[facts.variant.removesuffix('_causal')]}: accuracy "
        f"{REPORTED['accuracy']}, F1 {REPORTED['f1']} on MIT-BIH. Neither split nor "
        "averaging is given; the figures fit a random split of beats only.\n",
        "## Limits\n",
        "".join(f"- {line}\n" for line in limitations(facts)),
        "\n## Training\n",
        f"`{facts.run['command']}`, {_seeds(facts)}, commit {facts.run['commit']}, "
        f"{facts.run['backend']} on two CPU cores, {facts.run['seconds']} s "
        "for one seed.\n",
        "Data: MIT-BIH Arrhythmia Database, ODC-By 1.0 (Moody and Mark, 2001).\n",
    ]
    return "\n".join(parts)


def _kind(facts):
    causal = "causal " if facts.causal else ""
    if len(facts.seeds) == 1:
        return f"a {causal}`BeatClassifier`"
    return f"a `BeatEnsemble` of {len(facts.seeds)} {causal}`BeatClassifier`s"


def _seeds(facts):
    names = ", ".join(str(seed) for seed in facts.seeds)
    return f"seed {names}" if len(facts.seeds) == 1 else f"seeds {names}"


def _results_table(facts):
    rows = ["| metric | mean ± sd | released |", "|---|---|---|"]
    for key, label in METRIC_NAMES.items():
        if key in facts.metrics:
            cell = _spread(facts.metrics[key])
            rows.append(f"| {label} | {cell} | {facts.released[key]:.4f} |")
    rows += ["", "| class | Se | +P | F1 | F1, released |", "|---|---|---|---|---|"]
    for name in facts.classes:
        cells = [_spread(facts.metrics[f"{name}_{k}"]) for k in ("se", "ppv", "f1")]
        cells.append(f"{facts.released[f'{name}_f1']:.4f}")
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def _baseline_table(models):
    keys = ["accuracy", "macro_f1_nsv", "macro_f1", "S_f1", "V_f1"]
    keys = [key for key in keys if key in next(iter(models.values()))]
    heads = [METRIC_NAMES.get(key, key.replace("_f1", " F1")) for key in keys]
    rows = [f"| model | n | {' | '.join(heads)} |", "|---|---|" + "---|" * len(keys)]
    for name, metrics in models.items():
        alone = name in ("ecg", "image", "rhythm", "shape")
        label = f"{name} alone" if alone else f"{name}, all modalities"
        cells = " | ".join(_spread(metrics[key]) for key in keys)
        rows.append(f"| {label} | {metrics['accuracy']['n']} | {cells} |")
    return "\n".join(rows) + "\n"


def _aami5_section(facts):
    return (
        "## The five AAMI classes\n\n"
        f"Models of their own: {SPLITS['random_aami5']}.\n\n"
        + _baseline_table(facts.aami5)
    )


def _gain(facts):
    """What the fusion brings over concatenation; claimed beyond 2 sd only."""
    key = "macro_f1_nsv" if "macro_f1_nsv" in facts.metrics else "macro_f1"
    ours, plain = facts.metrics[key], facts.baselines.get("concat", {}).get(key)
    if plain is None or ours["sd"] is None or plain["sd"] is None:
        return ""
    difference = ours["mean"] - plain["mean"]
    spread = (ours["sd"] ** 2 + plain["sd"] ** 2) ** 0.5
    verdict = "no gain beyond 2 sd"
    if difference > 2 * spread:
        verdict = "a gain beyond 2 sd"
    elif difference < -2 * spread:
        verdict = "a loss beyond 2 sd"
    return (
        f"Against concatenation of the same encoders, {METRIC_NAMES[key]} changes by "
        f"{difference:+.4f} (sd of the difference {spread:.4f}): {verdict}.\n"
    )


def _subset_table(facts):
    keys = list(next(iter(facts.subsets.values())))
    heads = " | ".join(METRIC_NAMES[key] for key in keys)
    rows = [f"| present | {heads} |", "|---|" + "---|" * len(keys)]
    for name, numbers in facts.subsets.items():
        cells = " | ".join(f"{numbers[key]:.4f}" for key in keys)
        rows.append(f"| {name} | {cells} |")
    return "\n".join(rows) + "\n"


def _detected_section(facts):
    scores = facts.detected
    rows = [
        "| beats | accuracy | macro-F1, N S V | S F1 | V F1 |",
        "|---|---|---|---|---|",
    ]
    for label, numbers in (("annotated", facts.released), ("detected", scores)):
        keys = ("accuracy", "macro_f1_nsv", "S_f1", "V_f1")
        cells = " | ".join(f"{numbers[key]:.4f}" for key in keys)
        rows.append(f"| {label} | {cells} |")
    return (
        "## With detected beats\n\nThe released weights on beats found by XQRS "
        f"(Se {scores['detector_se']:.4f}, +P {scores['detector_ppv']:.4f} within "
        "150 ms); missed and extra beats count as errors.\n\n" + "\n".join(rows) + "\n"
    )


def _spread(value):
    sd = "" if value["sd"] is None else f" ± {value['sd']:.4f}"
    return f"{value['mean']:.4f}{sd}"


def confusion_picture(facts):
    """PNG of the confusion matrix of the released weights."""
    from matplotlib.figure import Figure

    counts = facts.confusion
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(5, 4.4), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        axes.text(
            column,
            row,
            f"{count:,}\n{shares[row, column]:.1%}",
            ha="center",
            va="center",
            fontsize=9,
            color="white" if shares[row, column] > 0.55 else "#222222",
        )
    axes.set_xticks(range(len(facts.classes)), facts.classes)
    axes.set_yticks(range(len(facts.classes)), facts.classes)
    axes.set_xlabel("model")
    axes.set_ylabel("cardiologists")
    where = "DS2" if facts.interpatient else "held-out beats"
    axes.set_title(f"{facts.name} on {where}", fontsize=11)
    axes.spines[:].set_visible(False)
    figure.colorbar(image, ax=axes, shrink=0.8, label="share of the class")
    return common.small_png(figure)
