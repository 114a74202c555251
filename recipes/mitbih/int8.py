"""What a preset says of its int8 LiteRT file: in its metadata and on its card."""

import json
import sys
from pathlib import Path

from keras_mmfusion.presets._folder import CONFIG, METADATA, WEIGHTS

sys.path.append(str(Path(__file__).parents[1]))
from revise import CARD, revise

KEYS = ("accuracy", "macro_f1_nsv", "S_f1", "V_f1")
HEADS = ("accuracy", "macro-F1, N S V", "S F1", "V F1")
BEGIN, END = "<!-- int8:begin -->", "<!-- int8:end -->"
SCHEMES = {
    "dynamic_range": "8-bit weights, floats between the operators (dynamic range)",
    "full_integer": "8-bit weights and activations (full integer), calibrated on DS1",
}


class OtherModel(ValueError):
    """The figures are of another model than that of the preset."""


def section(facts):
    """The part of the card, as Markdown."""
    rows = [f"| LiteRT file | size | {' | '.join(HEADS)} |", "|---" * 6 + "|"]
    for name in ("float32", "int8"):
        scores = facts["scores"][name]
        cells = " | ".join(f"{scores[key]:.4f}" for key in KEYS)
        rows.append(f"| {name} | {scores['bytes'] / 1e3:.0f} kB | {cells} |")
    chosen = [
        "| scheme | size | share with the same label | mean change | largest change |",
        "|---" * 5 + "|",
    ]
    for name, found in facts["training_beats"].items():
        chosen.append(
            f"| {SCHEMES[name]} | {found['bytes'] / 1e3:.0f} kB "
            f"| {found['same_label']:.5f} | {found['mean_change']:.1e} "
            f"| {found['largest_change']:.1e} |"
        )
    left_out = [SCHEMES[n] for n in SCHEMES if n not in facts["training_beats"]]
    chosen += [f"\n{name}: does not run with these weights." for name in left_out]
    return "\n".join(
        [
            "## In 8 bits, as a LiteRT file\n",
            f"The released weights on the DS2 beats: {SCHEMES[facts['scheme']]}. The "
            "share of beats with the same label in both files is "
            f"{facts['same_label']:.5f}. On the golden inputs, as they are and with "
            "leads, inputs or beats missing, no probability differs from that of the "
            f"Keras model by more than {facts['golden_difference']:.1e}.\n",
            *rows,
            "",
            "The scheme was chosen on the training beats (DS1), by the share of beats "
            "that keep the label of the float file; changes are those of the "
            "probabilities:\n",
            *chosen,
            "",
            f"`{facts['command']}` writes the file.",
        ]
    )


def command(scheme, name):
    """How anyone gets the file: without calibration it needs no recordings."""
    if scheme == "full_integer":
        return f"python recipes/mitbih/export_int8.py {name}"
    return (
        f"mmfusion export {name} --format litert --weights int8 --batch-size 1 "
        f"--output {name}.int8.tflite"
    )


def read(folder):
    """What a preset folder says, if that is of its present model."""
    file = folder / METADATA
    metadata = json.loads(file.read_bytes()) if file.is_file() else {}
    facts = metadata.get("exports", {}).get("litert_int8")
    return facts if facts and _is_of(facts, metadata) else None


def write(folder, facts):
    """Put the facts into the metadata and on the card, or replace them there."""
    metadata = json.loads((folder / METADATA).read_bytes())
    if not _is_of(facts, metadata):
        raise OtherModel(
            f"The figures must be of the model in {folder}. Received: those of "
            f"weights {facts['weights_sha256']}, config {facts.get('config_sha256')}."
        )
    text = (folder / CARD).read_text(encoding="utf-8")
    if BEGIN in text:
        text = text.split(BEGIN)[0] + text.split(END)[1]
    text = f"{text.strip()}\n\n{BEGIN}\n{section(facts)}\n{END}\n"
    exports = {**metadata.get("exports", {}), "litert_int8": facts}
    revise(folder, {"exports": exports}, {CARD: text.encode("utf-8")})


def model_of(metadata):
    """Digests of what the figures depend on: who decides is in the config."""
    files = {"weights_sha256": WEIGHTS, "config_sha256": CONFIG}
    return {
        key: metadata["files"].get(name, {}).get("sha256")
        for key, name in files.items()
    }


def _is_of(facts, metadata):
    return model_of(metadata).items() <= facts.items()
