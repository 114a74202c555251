"""Write the digit presets: weights, card, pictures, and rows of zoo/results.csv.

    KERAS_BACKEND=tensorflow python recipes/digits/release.py

Released is, of each network, the seed that was best on the validation pairs. With
`--card`, the weights stay, and what is told of them is written anew from what was
scored, recorded runs included.
"""

import argparse
import json
import sys
from pathlib import Path

import card
import data
import evaluate
import figures
import numpy as np
import scoring

from keras_mmfusion import presets
from keras_mmfusion.analysis import plot_digits

sys.path.append(str(Path(__file__).parents[1]))
import common
from front_matter import with_front_matter
from revise import revise

PRESETS = {f"convlstm_digits_{n}": n for n in ("initial", "second", "fc")}
# What is released knows no noise, and what to do with one of the two: the paper's
# networks of Fig. 3 are lost with neither, see the cards.
RELEASED = "incomplete"
# Figure 7 of the paper: what one is told by ear, by eye, and by both.
SCENES = {
    "original": {},
    "sound 1, image 0.25": {"sound": 1.0, "image": 0.25},
    "sound 0.25, image 1": {"sound": 0.25, "image": 1.0},
    "both 0.5": {"sound": 0.5, "image": 0.5},
}


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("presets", nargs="*", metavar="PRESET", help="default: all")
    parser.add_argument("--card", action="store_true", help="leave the weights")
    parser.add_argument("--data", help="folder with mnist/ and fsdd/")
    parser.add_argument("--output", default="runs/digits")
    parser.add_argument("--zoo", default=str(common.ZOO))
    args = parser.parse_args(argv)
    unknown = sorted(set(args.presets) - set(PRESETS))
    if unknown:
        parser.error(f"presets are {', '.join(PRESETS)}. Received: {unknown}")
    found = read(args.output)
    for name in args.presets or PRESETS:
        release(name, found, args)
    for (protocol, noise), (_, metrics) in found.items():
        write_rows(args.zoo, protocol, noise, metrics, args.output)


def read(output):
    """`{(protocol, noise): (grids, metrics)}` of all that was scored."""
    found = {
        (protocol, noise): scoring.read(output, protocol, noise)
        for protocol in ("digits", "digits_speaker")
        for noise in data.NOISE
    }
    return {key: scores for key, scores in found.items() if scores[0]}


def release(name, found, args):
    network, folder = PRESETS[name], Path(args.zoo) / name
    run = best(args.output, network)
    model = presets.load(folder) if args.card else evaluate.trained(with_weights(run))
    digits = data.load("digits", 0, args.data)
    seed = int(run.name.removeprefix("seed"))
    tables = {key: spreads(metrics) for key, (_, metrics) in found.items()}
    same_run = tables["digits", RELEASED]
    speakers = tables.get(("digits_speaker", RELEASED), {})
    studied = {n: grids for (p, n), (grids, _) in found.items() if p == "digits"}
    metrics = {"digits": same_run[network]}
    if network in speakers:
        metrics["digits_speaker"] = speakers[network]
    facts = card.Facts(
        name=name,
        network=network,
        seed=seed,
        run=json.loads((run / "run.json").read_text()),
        test_pairs=len(np.load(run / "test.npz")["clean_labels"]),
        noisy_pairs=len(np.load(run / "test.npz")["labels"]),
        metrics=metrics,
        released=values_of(args.output, network)[seed],
        baselines={
            "same_run": {n: m for n, m in same_run.items() if n != network},
            "digits_speaker": {n: m for n, m in speakers.items() if n != network},
            **{
                f"trained_{noise}": tables["digits", noise]
                for noise in card.TRAINED_WITH
                if ("digits", noise) in tables and noise != RELEASED
            },
        },
        comparisons={
            noise: scoring.comparisons(grids) for noise, grids in studied.items()
        },
        speakers=tested_on(digits, found["digits_speaker", RELEASED][0], network)
        if network in speakers
        else [],
        pairs={key: scoring.pairs_of(args.output, *key) for key in found},
        parameters=model.count_params(),
    )
    metadata = card.metadata(facts)
    files = {
        **{
            f"heat_maps_{noise}.png": common.small_png(figures.heat_maps(grids, noise))
            for noise, grids in studied.items()
            if len(set(PRESETS.values()) & set(grids)) > 1
        },
    }
    # Of the network of the same kind that was trained with noise, as the paper's are.
    if noisy := trained_with_noise(args.output, network):
        files[card.NOISY_PICTURE] = over_time(evaluate.trained(noisy), digits)
    elif (folder / card.NOISY_PICTURE).exists():
        files[card.NOISY_PICTURE] = (folder / card.NOISY_PICTURE).read_bytes()
    told = card.text(facts, noisy_picture=card.NOISY_PICTURE in files)
    files["README.md"] = with_front_matter(told, metadata)
    if args.card:
        # `presets.save` has added shapes to these.
        changes = {k: v for k, v in metadata.items() if k not in ("inputs", "outputs")}
        revise(folder, changes, {**files, "README.md": files["README.md"].encode()})
        print(f"{name}: card written", flush=True)
        return
    files["over_time.png"] = over_time(model, digits)
    files["train_log.csv"] = run / "train_log.csv"
    presets.save(
        model,
        folder,
        preprocessor=model.preprocessor,
        metadata=metadata,
        golden=golden(digits, model.preprocessor),
        files=files,
        overwrite=True,
    )
    print(f"{name}: seed {seed} released in {folder}", flush=True)


def over_time(model, digits):
    """PNG of what a network says while it listens to one test pair."""
    return common.small_png(plot_digits(model, scenes(digits, model.preprocessor)))


def trained_with_noise(output, network):
    """Folder of the best network that was trained with noise, or None."""
    runs = scoring.scored_runs(output, "digits", "noisy")
    if not any(n == network for n, _ in runs):
        return None
    run = best(output, network, "noisy")
    return run if (run / "model.weights.h5").exists() else None


def best(output, network, noise=RELEASED):
    """Folder of the seed with the highest accuracy on the validation pairs."""
    runs = {
        seed: run
        for (n, seed), run in scoring.scored_runs(output, "digits", noise).items()
        if n == network
    }
    accuracy = {
        seed: json.loads((run / "run.json").read_text())["validation_accuracy"]
        for seed, run in sorted(runs.items())
    }
    return runs[max(accuracy, key=accuracy.get)]


def with_weights(run):
    """The folder of a run, if its weights are there."""
    if not (run / "model.weights.h5").exists():
        network, seed = run.parent.name, run.name.removeprefix("seed")
        raise SystemExit(
            f"{network}: seed {seed} is the best one, and was trained elsewhere. For "
            f"its weights: python train.py --noise {RELEASED} --network {network} "
            f"--seeds {seed}, then evaluate.py. For the card only: --card"
        )
    return run


def tested_on(digits, grids, network):
    """The speakers that the seeds of a network were tested on, see `speaker_split`."""
    names = sorted(set(digits.sounds.speakers.tolist()))
    return [names[seed % len(names)] for seed in sorted(grids[network])]


def spreads(metrics):
    """`{network: {metric: spread}}` over seeds."""
    return {
        network: {key: common.spread([of[key] for of in seeds]) for key in seeds[0]}
        for network, seeds in metrics.items()
    }


def values_of(output, network):
    """`{seed: metrics}`, rounded as in a table."""
    _, metrics = scoring.read(output, "digits", RELEASED)
    runs = sorted(scoring.scored_runs(output, "digits", RELEASED))
    seeds = [seed for n, seed in runs if n == network]
    return {
        seed: {key: round(value, 5) for key, value in of.items()}
        for seed, of in zip(seeds, metrics[network], strict=True)
    }


def scenes(digits, preprocessor):
    """`{title: (inputs, digit)}` of one test pair, at four levels of noise."""
    found = {}
    for title, snr in SCENES.items():
        inputs, labels = test_pairs(digits, 1, snr, preprocessor)
        found[title] = inputs, int(labels[0])
    return found


def golden(digits, preprocessor):
    """Four test pairs: whole, noisy, without image, without sound."""
    x, _ = test_pairs(digits, 4, {}, preprocessor)
    noisy, _ = test_pairs(digits, 4, data.NOISE["noisy"], preprocessor)
    for name in x:
        x[name][1] = noisy[name][1]
        x[name] = x[name].round(3)
    x["image"][2] = x["sound"][3] = np.nan
    return x


def test_pairs(digits, count, snr, preprocessor):
    seed = evaluate.TEST_SEED
    return data.pairs(digits, "test", count, seed, snr, preprocessor=preprocessor)[0]


def write_rows(zoo, protocol, noise, metrics, output):
    """The rows of `zoo/results.csv` of networks that were trained in one way.

    Presets are of the first protocol, trained as what is released. Of other noise, the
    name of the protocol says which.
    """
    owners, released = {}, {}
    if (protocol, noise) == ("digits", RELEASED):
        owners = {network: name for name, network in PRESETS.items()}
        for network in owners:
            seed = int(best(output, network).name.removeprefix("seed"))
            released[network] = values_of(output, network)[seed]
    path = Path(zoo, "results.csv")
    protocol += "" if noise == RELEASED else f"_{noise}"
    common.write_results(path, protocol, spreads(metrics), released, owners)


if __name__ == "__main__":
    common.as_command(main)
