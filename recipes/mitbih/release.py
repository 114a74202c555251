"""Write the presets: weights, card, picture, and the rows of zoo/results.csv.

    python recipes/mitbih/release.py atd_mitbih step_mitbih

The model that is released is the one with the best patient-wise validation inside
DS1; where no other was validated, it is the first.
"""

import argparse
import sys
from pathlib import Path

import architecture
import card
import data
import evaluate
import int8
import numpy as np
import scoring
from detected import detected_scores
from facts import Facts, metadata
from missing import subset_scores

from keras_mmfusion import presets
from keras_mmfusion.datasets import mitbih
from keras_mmfusion.models import FUSIONS, BeatEnsemble
from keras_mmfusion.preprocessing import BeatPreprocessor

sys.path.append(str(Path(__file__).parents[1]))
import common
from front_matter import with_front_matter
from revise import revise

# Preset: protocol and variant; the variants scored beside it, from the same run.
PRESETS = {
    "atd_mitbih": ("interpatient", "atd"),
    "step_mitbih": ("interpatient", "step"),
    "atd_mitbih_causal": ("interpatient", "atd_causal"),
    "atd_mitbih_random": ("random_nlrav", "atd"),
    "step_mitbih_random": ("random_nlrav", "step"),
    # Of the leads, as in the paper: reconstruction first.
    "cascade_mitbih": ("interpatient", "leads_cascade_pretrained"),
}
ALONE = ("ecg", "image", "rhythm", "shape")
BASELINES = (*ALONE, "concat", "atd", "step", "zoom_shift", scoring.LINEAR)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("presets", nargs="+", choices=PRESETS)
    parser.add_argument("--data", help="folder with mitdb/")
    parser.add_argument("--output", default="runs/mitbih")
    parser.add_argument("--zoo", default=str(common.ZOO))
    parser.add_argument(
        "--card", action="store_true", help="new figures for the weights that are there"
    )
    args = parser.parse_args(argv)
    for name in args.presets:
        release(name, args)


def release(name, args):
    protocol, variant = PRESETS[name]
    beside = baselines_of(variant)
    variants = (variant, *(b for b in beside if b != variant))
    scores = scores_of(args, protocol, variants)
    number, validation = choose(args, protocol, variant)
    members = scoring.members_of(protocol, variant, number)
    runs = [Path(args.output, protocol, v, f"seed{s}_all") for v, s in members]
    model = trained(protocol, members, runs)
    recordings = evaluate.load_once(protocol, variant.endswith("_causal"), args.data)
    models = scoring.read_models(args.output, protocol, variant, folds=False)
    predictions = models[number]
    released = evaluate.metrics(protocol, variant, predictions, recordings)
    predictions = scoring.in_consensus(predictions, recordings, protocol, variant)
    classes, part = data.classes_of(protocol), scoring.held_out(protocol)
    _, confusion = scoring.score(predictions, recordings, classes, part)
    detected = detected_scores(model, args.data) if protocol == "interpatient" else {}
    found = Facts(
        name=name,
        protocol=protocol,
        variant=variant,
        classes=classes,
        members=members,
        chosen=validation is not None and validation["accuracy"]["n"] > 1,
        models=len(scores[variant]),
        runs=[scoring.read_json(run / "run.json") for run in runs],
        metrics=scoring.summarise(list(scores[variant].values())),
        released=released,
        validation=validation,
        without_consensus=without_consensus(args, protocol, variant, recordings),
        baselines=summaries(scores, variants[1:]),
        aami5=aami5_summaries(args, protocol, variants),
        detected=detected,
        subsets=subset_scores(model, recordings, classes, part),
        confusion=confusion,
        parameters=model.count_params(),
    )
    folder = Path(args.zoo) / name
    in_8_bits = int8.read(folder)
    if args.card:
        revise_card(folder, model, found)
    else:
        about = metadata(found)
        presets.save(
            model,
            folder,
            metadata=about,
            golden=golden_beats(model, recordings),
            files={
                "README.md": with_front_matter(card.text(found), about),
                "confusion.png": card.confusion_picture(found),
                "train_log.csv": runs[0] / "train_log.csv",
            },
            overwrite=True,
        )
    keep_int8(folder, in_8_bits)
    measured = {variant: found.metrics, **found.baselines}
    write_rows(args.zoo, protocol, measured, {variant: found.released})
    if found.aami5:
        write_rows(args.zoo, "random_aami5", found.aami5)
    print(f"{name}: {found.which} released in {folder}")


def baselines_of(variant):
    """Names of the variants that a preset is compared with."""
    of = architecture.parse(variant)
    if of.modalities == architecture.LEADS:
        fusions = [f"leads_{fusion}" for fusion in FUSIONS]
        alone = [f"leads_{name}" for name in architecture.LEADS]
        return (*alone, *fusions, *(f"{fusion}_pretrained" for fusion in fusions))
    # The causal model is compared with the one that sees the future, no other.
    return ("atd",) if of.causal else BASELINES


def revise_card(folder, model, found):
    """New figures for the weights that are in the folder, such as of more baselines."""
    kept = presets.load(folder).get_weights()
    pairs = zip(kept, model.get_weights(), strict=True)
    if not all(np.array_equal(ours, theirs) for ours, theirs in pairs):
        raise SystemExit(
            f"The weights in {folder} must be those of {found.which}. Received: "
            "others. Leave out --card to release these."
        )
    new = metadata(found)
    changes = {key: new[key] for key in ("metrics", "baselines")}
    revise(folder, changes, {"README.md": card.text(found).encode("utf-8")})


def keep_int8(folder, facts):
    """Keep what was measured of the int8 file if the model is still the same."""
    if facts is None:
        return
    try:
        int8.write(folder, facts)
    except int8.OtherModel:
        print(
            f"{folder.name}: another model, so its card says nothing of the int8 file. "
            f"For that: python recipes/mitbih/export_int8.py {folder.name} --release"
        )


def scores_of(args, protocol, variants):
    """`{variant: {seed: metrics}}` of those that were trained."""
    scores = {
        v: evaluate.test_scores(args.output, protocol, v, args.data)
        for v in variants
        if Path(args.output, protocol, v).exists()
    }
    return {v: s for v, s in scores.items() if s}


def summaries(scores, variants):
    return {
        v: scoring.summarise(list(scores[v].values())) for v in variants if v in scores
    }


def without_consensus(args, protocol, variant, recordings):
    """The same models, every beat as they see it; `{}` if they have no consensus."""
    if architecture.consensus(variant, protocol) is None:
        return {}
    models = scoring.read_models(args.output, protocol, variant, folds=False)
    classes, part = data.classes_of(protocol), scoring.held_out(protocol)
    return scoring.summarise(
        [scoring.score(p, recordings, classes, part)[0] for p in models.values()]
    )


def aami5_summaries(args, protocol, variants):
    """The other random split, for the presets of the first."""
    if protocol != "random_nlrav":
        return {}
    return summaries(scores_of(args, "random_aami5", variants), variants)


def trained(protocol, members, runs):
    """The model of one run, or the ensemble of several."""
    networks = []
    for (variant, _), run in zip(members, runs, strict=True):
        network = evaluate.build(protocol, variant)
        network.load_weights(run / "model.weights.h5")
        networks.append(network)
    model = networks[0]
    if len(networks) > 1:
        special = scoring.specialists(members)
        model = BeatEnsemble(
            networks, specialists=special, alone=scoring.ALONE, name="beat_ensemble"
        )
        model.preprocessor = networks[0].preprocessor
    model.consensus = architecture.consensus(members[0][0], protocol)
    return model


def choose(args, protocol, variant):
    """Number of the model that is released, and the validation of all.

    It is the one with the best macro-F1 over N, S, V in the folds of DS1, or the first
    where none was validated.
    """
    if protocol != "interpatient":
        return 0, None
    # What beats a consensus compares depends on what the model sees.
    preprocessor = BeatPreprocessor(causal=architecture.parse(variant).causal)
    recordings = data.load(protocol, preprocessor, args.data, mitbih.DS1)
    there = scoring.read_models(args.output, protocol, variant, folds=False)
    validated = scoring.read_models(args.output, protocol, variant, folds=True)
    scores = {
        number: scoring.score_model(p, recordings, protocol, variant)
        for number, p in validated.items()
        if set(mitbih.DS1) <= set(p) and number in there
    }
    if not scores:
        return 0, None
    best = max(scores, key=lambda number: scores[number]["macro_f1_nsv"])
    return best, scoring.summarise(list(scores.values()))


def golden_beats(model, recordings):
    """A segment of real beats; its second half lacks the first modality.

    To three decimals, microvolts for signals: less than was recorded, and a third of
    the bytes.
    """
    segment = model.segment_length
    beats = {
        name: recordings[0].modalities[name][None, :segment].round(3)
        for name in model.modalities
    }
    beats[model.modalities[0]][:, segment // 2 :] = float("nan")
    return beats


def write_rows(zoo, protocol, measured, released=None):
    """The rows of `zoo/results.csv` of one protocol."""
    owners = {v: name for name, (p, v) in PRESETS.items() if p == protocol}
    path = Path(zoo) / "results.csv"
    common.write_results(path, protocol, measured, released or {}, owners)


if __name__ == "__main__":
    common.as_command(main)
