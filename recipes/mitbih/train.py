"""Train the MIT-BIH beat models: every fusion, every modality alone.

    KERAS_BACKEND=tensorflow python recipes/mitbih/train.py --fusion atd --folds

A run is one training of one model with one seed: on all of DS1, or on three of its
four patient-wise folds with `--folds`. Each run leaves its weights, its log and its
predictions under `runs/`; runs that are complete are skipped, a run that was killed
goes on from its last epoch. Nothing here looks at the test beats.
"""

import argparse
import sys
from pathlib import Path

import architecture
import atrial_arrhythmia
import data
import ectopic_rich
import keras
import numpy as np
import pretrain
from scoring import has_specialist, seeds_of

from keras_mmfusion.datasets import mitbih
from keras_mmfusion.models import FUSIONS
from keras_mmfusion.preprocessing import BeatPreprocessor

sys.path.append(str(Path(__file__).parents[1]))
import common
import devices
import resuming
import speed

# What `--fusion` takes: fusions over all modalities, and each modality alone.
VARIANTS = (*FUSIONS, *dict.fromkeys(architecture.MODALITIES + architecture.LEADS))
ANCHOR_SHARES = {"interpatient": (0.35, 0.3, 0.25, 0.1)}
STEPS = {"interpatient": 600, "random_nlrav": 4000, "random_aami5": 4000}
STEPS_PER_EPOCH = 100
# Of a training, besides what names its folder.
OPTIONS = ("steps", "batch_size", "learning_rate", "precision")


def main(argv=None):
    args = parse_arguments(argv)
    devices.begin(args)
    speed.set_up(args)
    preprocessor = BeatPreprocessor(causal=args.causal, separate_leads=args.leads)
    recordings = data.load(args.protocol, preprocessor, args.data, args.records)
    for seed in args.seeds:
        for fold in range(len(mitbih.FOLDS)) if args.folds else [None]:
            run(args, recordings, preprocessor, seed, fold)


def run(args, recordings, preprocessor, seed, fold):
    """Train one model, or leave it if it is there already."""
    name = name_of(args)
    variant = architecture.parse(name)
    part = "all" if fold is None else f"fold{fold}"
    folder = Path(args.output) / args.protocol / name / f"seed{seed}_{part}"
    if not resuming.begin(
        folder, resuming.settings(args, *OPTIONS), writes=args.process == 0
    ):
        return
    training, validation = split(args.protocol, recordings, fold)
    if args.protocol == "interpatient":
        recorded = list(training)
        # Simulated are S and N beats: they say nothing of how V beats differ.
        for simulated in () if args.specialist else (ectopic_rich, atrial_arrhythmia):
            training += simulated.for_training(recorded, preprocessor, seed)
        validation += ectopic_rich.for_validation(validation, preprocessor)
    classes = data.classes_of(args.protocol)
    keras.utils.set_random_seed(seed)
    model = architecture.build(
        classes,
        variant.fusion,
        variant.modalities,
        variant.causal,
        variant.specialist,
    )
    epochs = max(args.steps // STEPS_PER_EPOCH, 1)
    sampler = data.SegmentSampler(
        training,
        variant.modalities,
        len(classes),
        architecture.SEGMENT,
        args.batch_size,
        args.steps // epochs,
        seed,
        anchor_shares=ANCHOR_SHARES.get(args.protocol),
    )
    seconds, facts = 0, {}
    with devices.on_devices(model, args) as trained:
        if variant.pretrained:
            seconds, facts["stage_1"] = pretrain.pretrain(
                trained, sampler, folder, args
            )
        checkpoint = resuming.Checkpoint(folder, epochs, writes=args.process == 0)
        compile_model(trained, args.learning_rate, args.steps, args.steps_per_execution)
        trained.fit(
            devices.shares(speed.Prefetched(sampler, args.workers), args),
            **checkpoint.span,
            shuffle=False,
            verbose=2 if args.quiet else 1,
            callbacks=[
                data.EpochOf(sampler),
                *([keras.callbacks.TensorBoard(folder)] if args.tensorboard else []),
                checkpoint,
            ],
        )
        seconds += checkpoint.seconds
    if args.process > 0:
        return
    model.save_weights(folder / "model.weights.h5")
    scored = {}
    if fold is not None:
        scored = {r.name: model.predict_beats(r.modalities) for r in validation}
        np.savez_compressed(folder / "validation.npz", **scored)
    resuming.finish(
        folder,
        {
            "command": f"python recipes/mitbih/train.py --protocol {args.protocol} "
            f"--fusion {args.fusion} --steps {args.steps}"
            + (" --leads" if args.leads else "")
            + (" --pretrain" if args.pretrain else "")
            + (" --causal" if args.causal else "")
            + (" --specialist" if args.specialist else "")
            + common.changed(args, parse_arguments([]), *OPTIONS[1:]),
            "settings": resuming.settings(args, *OPTIONS),
            "commit": common.commit(),
            "backend": keras.backend.backend(),
            "keras": keras.__version__,
            "parameters": model.count_params(),
            "seconds": seconds,
            "validated_on": [r.name for r in validation if not r.simulated],
            **facts,
        },
    )


def name_of(args):
    """Of the variant, see `architecture`."""
    front, back = "leads_" * args.leads, "_pretrained" * args.pretrain
    back += "_causal" * args.causal + "_specialist" * args.specialist
    return f"{front}{args.fusion}{back}"


def split(protocol, recordings, fold):
    """Recordings to train on, and those of the fold to validate on."""
    if protocol != "interpatient":
        return recordings, []
    validation = () if fold is None else mitbih.FOLDS[fold]
    training = [
        r for r in recordings if r.name in mitbih.DS1 and r.name not in validation
    ]
    return training, [r for r in recordings if r.name in validation]


def compile_model(model, learning_rate, steps, steps_per_execution=1):
    """AdamW under a warmed-up cosine, averaged weights, softened labels."""
    warmup = min(100, steps // 4)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0,
        steps - warmup,
        alpha=0.01,
        warmup_target=learning_rate,
        warmup_steps=warmup,
    )
    model.compile(
        optimizer=keras.optimizers.AdamW(
            schedule,
            weight_decay=1e-3,
            global_clipnorm=1.0,
            use_ema=True,
            ema_momentum=0.99 if steps > 200 else 0.9,
        ),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=0.05),
        weighted_metrics=["categorical_accuracy"],
        steps_per_execution=steps_per_execution,
    )


def parse_arguments(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--protocol", choices=data.PROTOCOLS, default="interpatient")
    parser.add_argument("--fusion", choices=VARIANTS, default="atd")
    parser.add_argument(
        "--leads", action="store_true", help="lead 1, lead 2 and rhythm, not views"
    )
    parser.add_argument(
        "--pretrain", action="store_true", help="reconstruct first (stage 1)"
    )
    parser.add_argument("--causal", action="store_true", help="use the past only")
    parser.add_argument(
        "--specialist",
        action="store_true",
        help=f"members that decide about {architecture.SPECIALTY} and nothing else",
    )
    parser.add_argument("--seeds", type=int, nargs="+", help="default: five models")
    parser.add_argument("--folds", action="store_true", help="validate inside DS1")
    parser.add_argument("--steps", type=int, help="training steps in all")
    parser.add_argument("--batch-size", type=int, default=12, help="segments")
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    speed.add_arguments(parser)
    devices.add_arguments(parser)
    parser.add_argument("--data", help="folder with mitdb/")
    resuming.add_output(parser, "runs/mitbih")
    parser.add_argument("--tensorboard", action="store_true")
    parser.add_argument("--quiet", action="store_true", help="one line an epoch")
    parser.add_argument("--smoke", action="store_true", help="seconds, on the CPU")
    args = parser.parse_args(argv)
    args.records = None
    args.steps = args.steps or STEPS[args.protocol]
    if args.specialist and not (
        has_specialist(args.protocol, name_of(args).removesuffix("_specialist"))
    ):
        parser.error(
            "--specialist is for the views of both leads under the protocol "
            "interpatient, without --leads and --pretrain."
        )
    if args.seeds is None:
        args.seeds = range(5 * len(seeds_of(args.protocol, name_of(args), 0)))
    if args.smoke:
        args.steps, args.batch_size, args.seeds = 4, 4, [0]
        args.records = ["119", "208", "209", "220", "222", "213"]
    return args


if __name__ == "__main__":
    common.as_command(main)
