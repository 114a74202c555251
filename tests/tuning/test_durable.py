"""What is tried by `mmfusion tune`, without any training."""

import numpy as np
import pytest
from backends import once
from small_searches import classifier

pytest.importorskip("keras_tuner")
pytestmark = once


def oracle(kind, folder, trials, seed=0):
    from keras_mmfusion.tuning._durable import make_tuner

    hypermodel = classifier({"fusion": ["concat", "lmf"], "learning_rate": (1e-4, 0.1)})
    tuner = make_tuner(kind, hypermodel, "val_loss", trials, 3, seed, folder)
    tuner.oracle.verbose = 0
    return tuner.oracle


def tried(oracle, loss=lambda values: abs(np.log(values["learning_rate"] / 1e-3))):
    """The learning rates of all trials, each with a loss that follows from it."""
    rates = []
    while (trial := oracle.create_trial("tuner0")).status == "RUNNING":
        values = trial.hyperparameters.values
        rates.append(values["learning_rate"])
        oracle.update_trial(trial.trial_id, {"val_loss": loss(values)})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    return rates


def test_bayesian_optimization_learns_in_a_search_of_the_usual_length(tmp_path):
    """Of its own, it draws at random for longer than that."""
    drawn = tried(oracle("random", tmp_path / "random", 13))
    learned = tried(oracle("bayesian", tmp_path / "bayesian", 13))
    assert learned[:10] == drawn[:10] and not set(learned[10:]) & set(drawn)
    best = min(learned, key=lambda rate: abs(np.log(rate / 1e-3)))
    assert best in learned[10:]


@pytest.mark.parametrize("seed", [0, 1])
def test_the_next_seed_gives_other_trials(tmp_path, seed):
    one, other = (
        tried(oracle("random", tmp_path / str(s), 6, s)) for s in (seed, seed + 1)
    )
    assert not set(one) & set(other)


def test_an_infinite_loss_is_a_failure(tmp_path):
    """Bayesian optimisation would take it for 0, the best of all."""
    found = oracle("bayesian", tmp_path / "search", 2)
    tried(found, loss=lambda values: np.inf)
    assert [trial.status for trial in found.trials.values()] == ["FAILED"] * 2
