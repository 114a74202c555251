"""Folds, and searches by the tuners of Keras Tuner."""

import keras
import numpy as np
import pytest
from backends import once
from small_searches import SMALL, classifier, data, values_of

from keras_mmfusion import tuning

keras_tuner = pytest.importorskip("keras_tuner")


class TestFolds:
    pytestmark = once

    def test_no_group_is_on_both_sides(self):
        rng = np.random.default_rng(1)
        groups = rng.integers(9, size=200)
        y = rng.choice(3, p=[0.7, 0.2, 0.1], size=200)
        for labels in (None, y, np.stack([y, np.zeros_like(y)], axis=1)):
            folds = tuning.group_folds(groups, 3, labels)
            assert len(folds) == 3
            for training, validation in folds:
                assert not set(groups[training]) & set(groups[validation])
                assert len(training) + len(validation) == 200
            held = np.concatenate([validation for _, validation in folds])
            assert sorted(held) == list(range(200))

    def test_classes_are_shared_out(self):
        """Six patients; two of them have all of the rare class."""
        groups = np.repeat(np.arange(6), 10)
        y = np.where(groups < 2, 1, 0)
        steps = np.zeros((60, 4), int)
        steps[:, 2] = y
        steps[:, 0] = -1
        for labels in (y, steps):
            for seed in range(4):
                folds = tuning.group_folds(groups, 2, labels, seed)
                assert [y[validation].sum() for _, validation in folds] == [10, 10]

    def test_few_of_each_class(self):
        groups, y = np.arange(8) // 2, np.arange(8)
        folds = tuning.group_folds(groups, 4, y)
        assert [len(validation) for _, validation in folds] == [2] * 4

    @pytest.mark.parametrize(
        "arguments, message",
        [
            (([1, 1],), r"two different.*\[1\]"),
            (([1, 1, 2], 3), "from 2 to 2"),
            (([1, 2, 3], 1), "folds=1"),
            (([[1], [2]],), r"shape \(2, 1\)"),
            (([1, 2, 3], 2, [0, 1]), r"shape \(2,\)"),
            (([1, 2, 3], 2, [0.0, 1.0, 1.0]), "float64"),
        ],
    )
    def test_bad_input(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            tuning.group_folds(*arguments)


def test_random_search(tmp_path):
    """On every backend; the trained model comes back."""
    x, y = data()
    hypermodel = classifier({"fusion": ["concat", "lmf"], "rank": 2})
    tuner = keras_tuner.RandomSearch(
        hypermodel, "val_loss", max_trials=2, seed=1, directory=tmp_path
    )
    last = {name: values[16:] for name, values in x.items()}
    tuner.search(x, y, validation_data=(last, y[16:]), epochs=2, verbose=0)
    trials = list(tuner.oracle.trials.values())
    assert [t.status for t in trials] == ["COMPLETED"] * 2, trials[0].message
    best = tuner.oracle.get_best_trials()[0]
    model = tuner.get_best_models()[0]
    loss = model.evaluate(last, y[16:], verbose=0, return_dict=True)["loss"]
    assert loss == pytest.approx(best.score, rel=1e-4)


@once
@pytest.mark.parametrize("name", ["BayesianOptimization", "Hyperband"])
def test_other_tuners(name, tmp_path):
    """With folds: each trains a model of its own, for all of its epochs."""
    x, y = data()
    folds = tuning.group_folds(np.repeat(np.arange(6), 4), 2, y)
    hypermodel = classifier({"fusion": ["concat", "lmf"], "rank": 2}, folds=folds)
    seen, train = [], hypermodel.train

    def watched(model, x, y, sample_weight, **kwargs):
        history = train(model, x, y, sample_weight, **kwargs)
        seen.append((len(y), kwargs["epochs"], len(history.history["val_loss"])))
        return history

    hypermodel.train = watched
    sizes = {"Hyperband": {"max_epochs": 3, "factor": 3}}
    options = sizes.get(name, {"max_trials": 5, "num_initial_points": 2})
    tuner = getattr(keras_tuner, name)(
        hypermodel, "val_loss", seed=1, directory=tmp_path, **options
    )
    tuner.search(x, y, epochs=1, verbose=0)
    trials = list(tuner.oracle.trials.values())
    assert {t.status for t in trials} == {"COMPLETED"}, trials[0].message
    assert len(seen) == 2 * len(trials) and {n for n, _, _ in seen} == {12}
    assert all(epochs == run for _, epochs, run in seen)
    rounds = {t.hyperparameters.values.get("tuner/round") for t in trials}
    assert rounds == ({0, 1} if name == "Hyperband" else {None})


@once
class TestObjective:
    def test_it_is_the_mean_over_folds(self, tmp_path):
        x, y = data()
        weight = np.linspace(0.5, 1.5, 24)
        folds = tuning.group_folds(np.repeat(np.arange(6), 4), 3)
        hypermodel = classifier({"fusion": "concat", "dropout": 0.0}, folds=folds)
        tuner = keras_tuner.RandomSearch(
            hypermodel, "val_loss", max_trials=1, seed=1, directory=tmp_path
        )
        tuner.search(x, y, sample_weight=weight, epochs=3, verbose=0, shuffle=False)
        trial = tuner.oracle.get_best_trials()[0]
        curves = []
        for rows, held in folds:
            model = hypermodel.build(trial.hyperparameters)
            part, rest = ({n: v[i] for n, v in x.items()} for i in (rows, held))
            history = model.fit(
                part,
                y[rows],
                sample_weight=weight[rows],
                validation_data=(rest, y[held], weight[held]),
                epochs=3,
                verbose=0,
                shuffle=False,
            )
            curves.append(history.history["val_loss"])
        curve = np.mean(curves, axis=0)
        assert np.ptp(curve) > 1e-3
        assert trial.score == pytest.approx(curve.min(), rel=1e-5)
        assert trial.best_step == curve.argmin()

    def test_callbacks_are_for_each_fold(self):
        x, y = data()
        folds = tuning.group_folds(np.repeat(np.arange(6), 4), 2)
        hypermodel = classifier({"fusion": "concat"}, folds=folds)
        stop = keras.callbacks.EarlyStopping("loss", min_delta=99, patience=1)
        hp = values_of()
        options = {"epochs": 5, "callbacks": [stop], "verbose": 0}
        history = hypermodel.fit(hp, hypermodel.build(hp), x, y, **options)
        assert history.epoch == [0, 1] and len(history.history["val_loss"]) == 2

    @pytest.mark.parametrize(
        "change, message",
        [
            ({"validation_split": 0.5}, "The folds say.*validation_split"),
            ({"x": np.zeros((24, 2))}, "x of ndarray"),
            ({"y": np.zeros(5)}, r"up to 23.*'y': 5"),
        ],
    )
    def test_bad_data_end_the_search(self, change, message, tmp_path):
        """They are no fault of one trial, which Keras Tuner would pass over."""
        x, y = data()
        folds = tuning.group_folds(np.repeat(np.arange(6), 4), 2)
        hypermodel = classifier({"fusion": "concat"}, folds=folds)
        tuner = keras_tuner.RandomSearch(
            hypermodel, "val_loss", max_trials=1, directory=tmp_path
        )
        with pytest.raises(ValueError, match=message):
            tuner.search(**{"x": x, "y": y, "epochs": 1, "verbose": 0, **change})


@once
class TestForecaster:
    SHAPES = {"load": (8, 2), "calendar": (8, 3), "phase": (2,)}

    def test_the_skip_is_fitted(self, tmp_path):
        rng = np.random.default_rng(0)
        x = {k: rng.normal(size=(40, *s)) for k, s in self.SHAPES.items()}
        x["load"] = x["load"].cumsum(axis=1)
        y = x["load"][:, -1:] + np.arange(1, 4)[:, None] * 0.5
        ranges = {**SMALL, "fusion": "lmf", "rank": 2, "learning_rate": 1e-9}
        folds = tuning.group_folds(np.repeat(np.arange(4), 10), 2)
        hypermodel = tuning.ForecasterHyperModel(
            self.SHAPES, 3, ranges=ranges, folds=folds, alpha=1e-6
        )
        assert "phase/encoder" not in {h.name for h in hypermodel.space}
        tuner = keras_tuner.RandomSearch(
            hypermodel, "val_loss", max_trials=1, directory=tmp_path
        )
        tuner.search(x, y, epochs=1, verbose=0)
        trial = tuner.oracle.get_best_trials()[0]
        assert trial.status == "COMPLETED", trial.message
        # The linear part alone forecasts this series; nothing else was trained.
        assert trial.score < 1e-4

    def test_the_skip_is_not_fitted_to_what_is_validated_on(self):
        rng = np.random.default_rng(0)
        x = {k: rng.normal(size=(20, *s)) for k, s in self.SHAPES.items()}
        y, skips = rng.normal(size=(20, 3, 2)), []
        ranges = {**SMALL, "fusion": "lmf", "rank": 2}
        hypermodel = tuning.ForecasterHyperModel(self.SHAPES, 3, ranges=ranges)
        for last in (y[15:], y[15:] + 9):
            model = hypermodel.build(values_of())
            model.fit = lambda *args, **kwargs: None
            given = np.concatenate([y[:15], last])
            hypermodel.fit(values_of(), model, x, given, validation_split=0.25)
            skips.append(model.get_layer("skip").get_weights())
        for ours, other in zip(*skips, strict=True):
            np.testing.assert_array_equal(ours, other)
        with pytest.raises(ValueError, match=r"fitted to arrays.*Received: x of list"):
            hypermodel.fit(values_of(), model, [x])

    def test_like_a_model(self):
        model = tuning.ForecasterHyperModel(self.SHAPES, 3).build(values_of())
        hypermodel = tuning.ForecasterHyperModel.like(model, ranges={"dim": 24})
        again = hypermodel.build(values_of(fusion="lmf", rank=3))
        assert again.output_shape == (None, 3, 2)
        assert again.get_config()["fusion_options"] == {"rank": 3}
        assert again.get_config()["encoders"] == model.get_config()["encoders"]
        with pytest.raises(ValueError, match="with a fusion"):
            tuning.ForecasterHyperModel.like(keras.Sequential())
