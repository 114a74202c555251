"""What is told of a preset: what was measured, and the fields of its metadata."""

import sys
from dataclasses import dataclass
from pathlib import Path

import architecture
import numpy as np

sys.path.append(str(Path(__file__).parents[1]))
import common

PAPERS = {
    "atd": "ATD (arXiv:2306.16950), Table 1",
    "step": "Step fusion (Qin et al.), Table 2",
}
INPUTS = {
    "ecg": {
        "units": "mV",
        "sampling_rate": 180.0,
        "description": "beats x samples x (waveforms of two leads, then their "
        "differences from the patient's template)",
    },
    "image": {
        "units": "mV",
        "sampling_rate": 180.0,
        "description": "the waveforms, drawn inside the model as Gramian angular "
        "fields",
    },
    "rhythm": {"description": "log RR interval before, after, over the mean"},
    "shape": {"description": "shape of the beat over the patient's usual one"},
    **{
        f"lead_{number}": {
            "units": "mV",
            "sampling_rate": 180.0,
            "description": f"beats x samples x (waveform of the {nth} lead, then its "
            "difference from the patient's template)",
        }
        for number, nth in ((1, "first"), (2, "second"))
    },
}
# Of the presets that are not 1.1.
VERSIONS = {"atd_mitbih": "1.6", "step_mitbih": "1.6"}
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
    members: list  # of the released model, each as variant and seed
    chosen: bool  # by validation, among several
    models: int  # that the means are over
    runs: list  # what the training of each member left
    metrics: dict
    released: dict
    validation: dict | None
    without_consensus: dict  # the same models beat by beat; empty without one
    baselines: dict
    aami5: dict
    detected: dict
    subsets: dict
    confusion: np.ndarray
    parameters: int

    @property
    def of(self):
        return architecture.parse(self.variant)

    @property
    def special(self):
        """Seeds of the members that decide about one class only."""
        return [s for name, s in self.members if architecture.is_specialist(name)]

    @property
    def which(self):
        """The members of the released model in words."""
        seeds = [str(seed) for _, seed in self.members]
        common = seeds[: len(seeds) - len(self.special)]
        text = f"seed{'s' * (len(common) > 1)} {', '.join(common)}"
        if self.special:
            special = ", ".join(seeds[len(common) :])
            text += f" and, for {architecture.SPECIALTY} only, {special}"
        return text

    @property
    def command(self):
        return " && ".join(dict.fromkeys(run["command"] for run in self.runs))

    @property
    def commits(self):
        return ", ".join(dict.fromkeys(run["commit"] for run in self.runs))

    @property
    def causal(self):
        return self.of.causal

    @property
    def interpatient(self):
        return self.protocol == "interpatient"


def metadata(facts):
    """The fields of `metadata.json` that `presets.save` cannot know."""
    return _with_null(_metadata(facts))


def _with_null(value):
    """`None` for NaN, which JSON has not: what is never predicted has no precision."""
    if isinstance(value, dict):
        return {key: _with_null(of) for key, of in value.items()}
    return None if isinstance(value, float) and value != value else value


def _metadata(facts):
    return {
        "name": facts.name,
        "version": VERSIONS.get(facts.name, "1.1"),
        "task": "classification",
        "inputs": {name: INPUTS[name] for name in facts.of.modalities},
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
            "same_run": {short(n): shown(m) for n, m in facts.baselines.items()},
            "without_consensus": shown(facts.without_consensus),
            "stage_1": stage_1_gains({facts.variant: facts.metrics, **facts.baselines}),
            "random_aami5": {name: shown(m) for name, m in facts.aami5.items()},
            "validation": facts.validation or {},
            "released_weights": {
                k: round(float(v), 5) for k, v in facts.released.items()
            },
            "detected_beats": facts.detected,
            "subsets_of_modalities": facts.subsets,
        },
        "paper": {"source": PAPERS[facts.of.fusion], **REPORTED}
        if facts.of.fusion in PAPERS
        else {"source": "no paper has this model on an ECG"},
        "recipe": common.trained_by(
            {**facts.runs[0], "command": facts.command, "commit": facts.commits},
            [seed for _, seed in facts.members],
            "recipes/mitbih/train.py",
        ),
        "hardware": "2 CPU cores",
        "intended_use": "Research, teaching and as a starting point for fine-tuning.",
        "limitations": limitations(facts),
    }


def stage_1_gains(models):
    """What reconstruction first brings to macro-F1 over N, S, V, by fusion."""
    gains, key = {}, "macro_f1_nsv"
    for name, metrics in models.items():
        first = models.get(f"{name}_pretrained")
        if first is not None:
            sds = [m[key]["sd"] or 0.0 for m in (first, metrics)]
            gains[architecture.parse(name).fusion] = {
                "mean": round(first[key]["mean"] - metrics[key]["mean"], 5),
                "sd": round((sds[0] ** 2 + sds[1] ** 2) ** 0.5, 5),
            }
    return gains


def short(variant):
    """The name of a variant beside others of the same modalities."""
    return variant.removeprefix("leads_")


def shown(metrics):
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
