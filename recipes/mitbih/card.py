"""The card of a preset, written from numbers, never typed."""

import sys
from pathlib import Path

import architecture
import numpy as np
from facts import (
    METRIC_NAMES,
    PAPERS,
    REPORTED,
    SPLITS,
    limitations,
    stage_1_gains,
)
from scoring import LINEAR

sys.path.append(str(Path(__file__).parents[1]))
import common

STAGE_1 = (
    " Encoders and fusion learned to reconstruct the modalities first, all from one "
    "code, as in the weight-sharing autoencoder of Zheng et al."
)

# Metrics of the tables that compare.
TABLE = ("accuracy", "macro_f1_nsv", "macro_f1", "S_f1", "V_f1")


def text(facts):
    """The card, in Markdown."""
    parts = [
        f"# {facts.name}\n",
        f"Labels each beat of an ECG as {', '.join(facts.classes)}: {_kind(facts)}"
        f" with the fusion `{facts.of.fusion}` over the modalities "
        f"{', '.join(facts.of.modalities)}; {facts.parameters:,} parameters."
        f"{STAGE_1 if facts.of.pretrained else ''}\n",
        "```python\nfrom keras_mmfusion import presets\n\n"
        f'model = presets.load("{facts.name}")\n'
        'beats = model.predict_record("mitdb/100")\n```\n',
        f"Protocol: {SPLITS[facts.protocol]}.\n",
        f"## Results on the {'DS2' if facts.interpatient else 'held-out'} beats\n",
        f"Mean ± standard deviation over {facts.models} models"
        + (f" of {len(facts.members)} members each" if len(facts.members) > 1 else "")
        + f"; the released one is of {facts.which}, "
        + (
            "the best in the validation inside DS1.\n"
            if facts.chosen
            else "the first.\n"
        ),
        _results_table(facts),
        "![Confusion matrix](confusion.png)\n",
        "## Beside it, from the same run\n",
        baseline_table({facts.variant: facts.metrics, **facts.baselines}),
        _gain(facts),
        *([_consensus_section(facts)] if facts.without_consensus else []),
        *filter(None, [stage_1_text(_gains(facts))]),
        *([_aami5_section(facts)] if facts.aami5 else []),
        "## With modalities missing\n",
        "The released weights, with the other modalities or the other lead set to "
        "missing.\n",
        _subset_table(facts),
        *([_detected_section(facts)] if facts.detected else []),
        *_paper_section(facts),
        "## Limits\n",
        "".join(f"- {line}\n" for line in limitations(facts)),
        "\n## Training\n",
        f"`{facts.command}`, {facts.which}, commit {facts.commits}, "
        f"{facts.runs[0]['backend']} on two CPU cores, {facts.runs[0]['seconds']} s "
        "for one seed.\n",
        "Data: MIT-BIH Arrhythmia Database, ODC-By 1.0 (Moody and Mark, 2001).\n",
    ]
    return "\n".join(parts)


def _paper_section(facts):
    if facts.of.fusion not in PAPERS:
        return []
    return [
        "## What the paper reports\n",
        f"{PAPERS[facts.of.fusion]}: accuracy "
        f"{REPORTED['accuracy']}, F1 {REPORTED['f1']} on MIT-BIH. Neither split nor "
        "averaging is given; the figures fit a random split of beats only.\n",
    ]


def _kind(facts):
    causal = "causal " if facts.causal else ""
    number = len(facts.members)
    if number == 1:
        return f"a {causal}`BeatClassifier`"
    text = f"a `BeatEnsemble` of {number} {causal}`BeatClassifier`s"
    if facts.special:
        deciders = f"{len(facts.special)} of which decide"
        text += f", {deciders} about {architecture.SPECIALTY} only,"
    return text


def _results_table(facts):
    rows = ["| metric | mean ± sd | released |", "|---|---|---|"]
    for key, label in METRIC_NAMES.items():
        if key in facts.metrics:
            cell = _spread(facts.metrics[key])
            rows.append(f"| {label} | {cell} | {_number(facts.released[key])} |")
    rows += ["", "| class | Se | +P | F1 | F1, released |", "|---|---|---|---|---|"]
    for name in facts.classes:
        cells = [_spread(facts.metrics[f"{name}_{k}"]) for k in ("se", "ppv", "f1")]
        cells.append(_number(facts.released[f"{name}_f1"]))
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def baseline_table(models):
    keys = [key for key in TABLE if key in next(iter(models.values()))]
    heads = " | ".join(_head(key) for key in keys)
    rows = [f"| model | n | {heads} |", "|---|---|" + "---|" * len(keys)]
    for name, metrics in models.items():
        label = _label(name)
        cells = " | ".join(_spread(metrics[key]) for key in keys)
        rows.append(f"| {label} | {metrics['accuracy']['n']} | {cells} |")
    return "\n".join(rows) + "\n"


def _head(key):
    return METRIC_NAMES.get(key, key.replace("_f1", " F1"))


def _label(name):
    if name == LINEAR:
        return "linear discriminants of single beats, no network, no consensus"
    of = architecture.parse(name)
    alone = of.fusion in of.modalities
    label = f"{of.fusion} alone" if alone else f"{of.fusion}, all modalities"
    label += ", reconstruction first" * of.pretrained
    return label + ", the past only" * of.causal


def _gains(facts):
    return stage_1_gains({facts.variant: facts.metrics, **facts.baselines})


def stage_1_text(gains):
    """What reconstruction first brings, fusion by fusion."""
    rows = [
        f"{fusion} {gain['mean']:+.4f} (sd {gain['sd']:.4f})"
        for fusion, gain in gains.items()
    ]
    if not rows:
        return ""
    return (
        f"With reconstruction first, {METRIC_NAMES['macro_f1_nsv']} changes by: "
        f"{', '.join(rows)}.\n"
    )


def _aami5_section(facts):
    return (
        "## The five AAMI classes\n\n"
        f"Models of their own: {SPLITS['random_aami5']}.\n\n"
        + baseline_table(facts.aami5)
    )


def _gain(facts):
    """What the fusion brings over concatenation; claimed beyond 2 sd only."""
    key = "macro_f1_nsv" if "macro_f1_nsv" in facts.metrics else "macro_f1"
    concat = facts.variant.replace(facts.of.fusion, "concat").removesuffix("_causal")
    ours, plain = facts.metrics[key], facts.baselines.get(concat, {}).get(key)
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


def _consensus_section(facts):
    models = {"with": facts.metrics, "without": facts.without_consensus}
    keys = [k for k in TABLE if k in facts.metrics]
    heads = " | ".join(_head(key) for key in keys)
    rows = [f"| consensus | {heads} |", "|---|" + "---|" * len(keys)]
    for name, metrics in models.items():
        rows.append(f"| {name} | {' | '.join(_spread(metrics[key]) for key in keys)} |")
    return "\n".join(
        [
            "## Beats that look alike\n",
            "`predict_record` and `predict_beats` let every beat hear what the model "
            "says of the beats of the recording most similar to it"
            f"{' among the earlier ones' if facts.causal else ''} (`BeatConsensus`, "
            "chosen by the patient-wise validation). All models of the tables have it; "
            "`predict`, and exported files, which see segments, have it not. The same "
            "models:\n",
            *rows,
            "",
        ]
    )


def _subset_table(facts):
    keys = list(next(iter(facts.subsets.values())))
    heads = " | ".join(METRIC_NAMES[key] for key in keys)
    rows = [f"| present | {heads} |", "|---|" + "---|" * len(keys)]
    for name, numbers in facts.subsets.items():
        cells = " | ".join(_number(numbers[key]) for key in keys)
        rows.append(f"| {name} | {cells} |")
    return "\n".join(rows) + "\n"


def _detected_section(facts):
    return "\n".join(
        [
            "## With detected beats\n",
            f"The released weights on beats found by XQRS {detector(facts.detected)}; "
            "missed and extra beats count as errors.\n",
            "| beats | accuracy | macro-F1, N S V | S F1 | V F1 |",
            "|---|---|---|---|---|",
            scores_on("annotated", facts.released),
            scores_on("detected", facts.detected) + "\n",
        ]
    )


def detector(scores):
    """How many of the beats are found."""
    se, ppv = scores["detector_se"], scores["detector_ppv"]
    return f"(Se {se:.4f}, +P {ppv:.4f} within 150 ms)"


def scores_on(beats, scores):
    """The row of a kind of beats."""
    keys = ("accuracy", "macro_f1_nsv", "S_f1", "V_f1")
    return f"| {beats} | {' | '.join(_number(scores[key]) for key in keys)} |"


def _spread(value):
    sd = "" if _is_missing(value["sd"]) else f" ± {value['sd']:.4f}"
    return f"{_number(value['mean'])}{sd}"


def _number(value):
    return "–" if _is_missing(value) else f"{value:.4f}"


def _is_missing(value):
    """Of what is never predicted, for example: NaN, or `null` in the metadata."""
    return value is None or value != value


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
