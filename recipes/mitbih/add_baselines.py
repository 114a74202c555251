"""Put fusions that were trained after a release into the tables of its presets.

    python recipes/mitbih/add_baselines.py zoom_shift --presets atd_mitbih step_mitbih
    python recipes/mitbih/add_baselines.py leads_zoom_shift --presets cascade_mitbih

They are scored on the held-out beats, once for each trained model, and stand beside the
others: in the metadata, on the card, and in zoo/results.csv. Weights stay as they are.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

import architecture
import card
import evaluate
import facts
import release
import scoring

sys.path.append(str(Path(__file__).parents[1]))
import common
from revise import add_baselines, came_later


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("variants", nargs="+", help="such as zoom_shift")
    parser.add_argument("--presets", nargs="+", choices=release.PRESETS, required=True)
    parser.add_argument("--data", help="folder with mitdb/")
    parser.add_argument("--output", default="runs/mitbih")
    parser.add_argument("--zoo", default=str(common.ZOO))
    args = parser.parse_args(argv)
    for preset in args.presets:
        protocol, variant = release.PRESETS[preset]
        measured = {v: measure(args, protocol, variant, v) for v in args.variants}
        rows = {facts.short(v): facts.shown(found) for v, found in measured.items()}
        groups = {"same_run": rows}
        if gains := facts.stage_1_gains(measured):
            groups["stage_1"] = gains
        runs = [first_run(args, protocol, v) for v in args.variants]
        folder = Path(args.zoo) / preset
        add_baselines(
            folder,
            groups,
            [partial(table_of, protocol, variant), stage_1_of],
            came_later(rows, runs),
        )
        release.write_rows(args.zoo, protocol, measured)
        print(f"{preset}: {', '.join(rows)} in {folder}", flush=True)


def measure(args, protocol, variant, other):
    """Spreads of the metrics of another variant than that of the preset."""
    same = architecture.parse(variant).modalities == architecture.LEADS
    if other.startswith("leads_") != same:
        raise SystemExit(
            f"Presets and variants must have the same modalities. Received: {other} "
            f"beside {variant}."
        )
    scores = evaluate.test_scores(args.output, protocol, other, args.data)
    if not scores:
        raise SystemExit(
            f"Expected trained models of {other} in {Path(args.output, protocol)}. "
            "Received: none, or too few for an ensemble. First: train.py"
        )
    return scoring.summarise(list(scores.values()))


def first_run(args, protocol, variant):
    folder = Path(args.output, protocol, variant)
    return scoring.read_json(sorted(folder.glob("seed*_all/run.json"))[0])


def table_of(protocol, variant, metadata):
    """The table of baselines on the card, from the metadata."""
    front = "leads_" if variant.startswith("leads_") else ""
    others = metadata["baselines"]["same_run"]
    models = {variant: metadata["metrics"][protocol]}
    return card.baseline_table(
        models | {f"{front}{name}": metrics for name, metrics in others.items()}
    )


def stage_1_of(metadata):
    """What the card says of reconstruction first, from the metadata."""
    return card.stage_1_text(metadata["baselines"].get("stage_1", {}))


if __name__ == "__main__":
    common.as_command(main)
