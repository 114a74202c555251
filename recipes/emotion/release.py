"""Write `cascade_iemocap` and `cascade_msp_improv`: the models, without weights.

    KERAS_BACKEND=jax python recipes/emotion/release.py

The licences of the corpora do not let us train on them here. A preset without weights
is the classifier of stage 2 at the paper's sizes, and says how to train it.
"""

import argparse
import sys
from pathlib import Path

from keras_mmfusion import presets
from keras_mmfusion.datasets.emotion_corpus import EMOTIONS
from keras_mmfusion.models import mcwsa

sys.path.append(str(Path(__file__).parents[1]))
import common
from front_matter import with_front_matter

PAPER = (
    'Zheng et al., "Multi-channel weight-sharing autoencoder based on cascade '
    'multi-head attention", Tables I and II'
)
CORPORA = {
    "iemocap": {
        "name": "IEMOCAP",
        "url": "https://sail.usc.edu/iemocap/",
        "citation": "Busso et al.: IEMOCAP: Interactive emotional dyadic motion "
        "capture database. Language Resources and Evaluation 42(4), 2008.",
        "unweighted_accuracy": 0.863,
        "f1": 0.865,
        "sessions": 5,
    },
    "msp_improv": {
        "name": "MSP-IMPROV",
        "url": "https://lab-msp.com/MSP/MSP-Improv.html",
        "citation": "Busso et al.: MSP-IMPROV: An acted corpus of dyadic interactions "
        "to study emotion perception. IEEE Transactions on Affective Computing 8(1), "
        "2016.",
        "unweighted_accuracy": 0.718,
        "f1": 0.718,
        "sessions": 6,
    },
}
INPUTS = {
    "audio": "log-mel spectrogram of 64 bands with deltas, 128 rows by temporal "
    "pyramid pooling",
    "visual": "2048 features of a ResNet-50 a frame, 32 rows by the same",
    "text": "word vectors of 300 dimensions, 32 rows by the same",
}


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--zoo", default=str(common.ZOO))
    args = parser.parse_args(argv)
    for corpus in CORPORA:
        name = f"cascade_{corpus}"
        model = mcwsa().with_num_classes(len(EMOTIONS), dropout=0.5, name=name)
        about = metadata(name, corpus)
        text = card(name, corpus, model.count_params())
        presets.save(
            model,
            Path(args.zoo) / name,
            metadata=about,
            files={"README.md": with_front_matter(text, about)},
            overwrite=True,
            weights=False,
        )
        print(f"{name}: written without weights to {Path(args.zoo) / name}")


def metadata(name, corpus):
    about = CORPORA[corpus]
    return {
        "name": name,
        "version": "1.0",
        "task": "classification",
        "inputs": {key: {"description": text} for key, text in INPUTS.items()},
        "outputs": {
            "classes": list(EMOTIONS),
            "activation": "softmax",
            "description": "a probability for each emotion",
        },
        "dataset": {
            "name": about["name"],
            "license": "by agreement with the laboratory, for research only",
            "split": "by session, nobody on two sides; and the paper's ten folds",
            "url": about["url"],
            "citation": about["citation"],
        },
        "metrics": {},
        "baselines": {},
        "paper": {
            "source": PAPER,
            "unweighted_accuracy": about["unweighted_accuracy"],
            "f1": about["f1"],
        },
        "recipe": {
            "command": f"python recipes/emotion/train.py --corpus {corpus} "
            "--subsets avt --fusions cascade",
            "commit": common.commit(),
            "script": "recipes/emotion/train.py",
        },
        "hardware": "not trained",
        "intended_use": "Research on emotion in acted dialogues, for those who have "
        "the corpus.",
        "limitations": [
            "Without weights: the corpus may not be passed on, and was not at hand.",
            "Acted emotions of few speakers, in English.",
        ],
    }


def card(name, corpus, parameters):
    about = CORPORA[corpus]
    rows = "".join(f"- `{key}`: {text}\n" for key, text in INPUTS.items())
    return f"""# {name}

Names the emotion of a turn of speech, {", ".join(EMOTIONS)}, from voice, face
and words: the classifier of MCWSA-CMHA at the paper's sizes, {parameters:,} parameters.
**Without weights**: {about["name"]} may not be passed on, and was not at hand.

```python
from keras_mmfusion import presets

model = presets.load("{name}", load_weights=False)
```

{rows}
To train it, with reconstruction first, see the [recipe](../../recipes/emotion).

```bash
python prepare.py --corpus {corpus} --words GoogleNews-vectors-negative300.bin.gz
python train.py --corpus {corpus} --subsets avt --fusions cascade
```

{PAPER}:
unweighted accuracy {about["unweighted_accuracy"]}, F1 {about["f1"]}, in ten folds with
speakers on all sides. We have measured nothing: expect less of new speakers, in
{about["sessions"]} folds by session.

{about["citation"]}
"""


if __name__ == "__main__":
    common.as_command(main)
