"""What is compared, and how much each model may learn from."""

import sys
from dataclasses import dataclass
from pathlib import Path

from keras_mmfusion.models import FUSIONS as KNOWN

sys.path.append(str(Path(__file__).parents[1]))

# All that models know by name; the plainest first, which the others are compared with.
REFERENCE = "concat"
FUSIONS = (REFERENCE, *(name for name in KNOWN if name != REFERENCE))
# Each modality alone is a model too, named by it. Pictures and words are found by
# each other: what is alone there are the two towers, without a second look.
SINGLES = {
    "mitbih_interpatient": ("ecg", "image", "rhythm"),
    "mitbih_random": ("ecg", "image", "rhythm"),
    "etth1": ("series", "image", "calendar"),
    "digits": ("image", "sound"),
    "emoji": (),
}
DATASETS = tuple(SINGLES)
TOWERS = "towers"
SEEDS = (0, 1, 2)
LOWER_IS_BETTER = ("mse",)
RECORDS = Path(__file__).parent / "records"


@dataclass(frozen=True)
class Budget:
    """The same for every model of a dataset.

    Attributes:
        epochs: int. After each, the model is scored on the data to validate on.
        steps: int, of an epoch.
        batch_size: int.
        learning_rate: float, from which a cosine falls to a hundredth.
        disturbed: int. Samples of the test part, at most, that are disturbed.
        samples: int. Samples of any part, at most. `None` for all.
    """

    epochs: int
    steps: int
    batch_size: int
    learning_rate: float = 2e-3
    disturbed: int = 400
    samples: int | None = None


BUDGETS = {
    "mitbih_interpatient": Budget(8, 80, 16),
    "mitbih_random": Budget(8, 80, 16),
    "etth1": Budget(6, 100, 32, 1e-3),
    "digits": Budget(8, 100, 64),
    "emoji": Budget(6, 100, 66),
}
SMOKE = Budget(1, 2, 8, disturbed=8, samples=16)


def models_of(dataset, fusions=FUSIONS):
    """Names of all models of a dataset: fusions, then single modalities."""
    return (*fusions, *SINGLES[dataset])


def folder_of(output, dataset, model, seed):
    return Path(output, dataset, model, f"seed{seed}")
