"""Search spaces, folds, and searches by the tuners of Keras Tuner."""

import inspect
import sys

import keras
import numpy as np
import pytest
from backends import once

from keras_mmfusion import tuning
from keras_mmfusion.layers import LSTMEncoder
from keras_mmfusion.models import FUSIONS, BeatClassifier, BeatEnsemble
from keras_mmfusion.tuning import _search_space
from keras_mmfusion.tuning._search_space import OPTIONS, RANGES, search_space

keras_tuner = pytest.importorskip("keras_tuner")

SHAPES = {"voice": (4, 3), "text": (3, 5)}
SMALL = {"dim": 8, "encoder": "dense", "encoder_dim": 4, "learning_rate": 0.01}


def data(samples=24, classes=2):
    rng = np.random.default_rng(0)
    x = {
        name: rng.normal(size=(samples, *shape)).astype("float32")
        for name, shape in SHAPES.items()
    }
    return x, rng.integers(classes, size=samples)


def classifier(ranges=None, **kwargs):
    return tuning.ClassifierHyperModel(
        SHAPES, 2, ranges={**SMALL, **(ranges or {})}, **kwargs
    )


def values_of(**values):
    hp = keras_tuner.HyperParameters()
    hp.values = values
    return hp


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


@once
class TestSpace:
    def test_options_are_those_of_the_fusions(self):
        for option, takers in OPTIONS.items():
            for name, layer in FUSIONS.items():
                takes = option in inspect.signature(layer).parameters
                assert takes == (name in takers), (option, name)
        assert set(RANGES["fusion"]) == set(FUSIONS) - {"tfn"}

    def test_names(self):
        hypermodel = tuning.ClassifierHyperModel(SHAPES, 2)
        hp = keras_tuner.HyperParameters()
        hypermodel.declare_hyperparameters(hp)
        assert hp.values["fusion"] == "concat"
        assert "num_heads" not in hp and "rank" not in hp
        assert "voice/encoder" in hp and "text/encoder_dim" in hp
        hp = values_of(fusion="atd")
        hypermodel.declare_hyperparameters(hp)
        assert "num_steps" in hp and "num_layers" not in hp
        assert hp.values["dim"] % 8 == 0

    def test_every_range_can_be_set(self):
        given = {
            "fusion": ["atd", "mult", "step", "lmf"],
            "dim": (6, 18),
            "num_heads": [3, 2],
            "num_steps": 2,
            "kernel_size": (5, 3),
            "num_layers": [2, 1],
            "rank": (3, 5),
            "encoder": ("lstm", "dense"),
            "text/encoder": "conv",
            "encoder_dim": [6],
            "voice/encoder_dim": (2, 4),
            "dropout": 0.1,
            "learning_rate": (1e-3, 2e-3),
        }
        hypermodel = tuning.ClassifierHyperModel(SHAPES, 2, ranges=given)
        space = {h.name: h for h in hypermodel.space}
        assert space["dim"].values == (6, 18) and space["dim"].step == 6
        assert space["num_heads"].values == [3, 2]
        assert space["num_heads"].fusions == ("atd", "mult", "step")
        assert space["kernel_size"].values == [5, 3]
        assert space["voice/encoder"].values == ["lstm", "dense"]
        assert space["text/encoder"].values == ["conv"]
        assert space["voice/encoder_dim"].values == (2, 4)
        assert space["text/encoder_dim"].values == [6]
        assert space["dropout"].values == [0.1]
        hp = values_of(fusion="step")
        hypermodel.declare_hyperparameters(hp)
        assert hp.values["kernel_size"] == 5
        assert 1e-3 <= hp.values["learning_rate"] <= 2e-3

    def test_heads_follow_the_width(self):
        kinds = {"voice": ("dense",)}
        space = {h.name: h for h in search_space({"dim": (4, 12)}, kinds, 2)}
        assert space["num_heads"].values == [1, 2, 4] and space["dim"].step == 4
        alone = {h.name for h in search_space(None, kinds, 1)}
        assert alone == {"dim", "voice/encoder_dim", "dropout", "learning_rate"}

    @pytest.mark.parametrize(
        "ranges, message",
        [
            ({"width": 8}, "must name hyperparameters.*'width'"),
            ({"film/encoder": "lstm"}, "of this search.*film/encoder"),
            ({"fusion": ["atd", "glue"]}, "'glue'"),
            ({"fusion": "concat", "num_heads": 2}, "none of them is searched"),
            ({"dim": (8, 12), "num_heads": [8]}, r"multiple.*dim=\(8, 12\)"),
            ({"dim": (16, 8)}, "lowest, highest"),
            ({"dim": (8, 16, 24)}, "a pair"),
            ({"dim": 8.5}, "integers above 0.*8.5"),
            ({"dim": []}, "one value"),
            ({"dropout": (0, 1)}, r"\[0, 1\).*Received: 1"),
            ({"learning_rate": "fast"}, "numbers above 0.*'fast'"),
            ({"text/encoder": "tree"}, "'tree'"),
        ],
    )
    def test_bad_ranges(self, ranges, message):
        with pytest.raises(ValueError, match=message):
            tuning.ClassifierHyperModel(SHAPES, 2, ranges=ranges)

    def test_other_bad_arguments(self):
        with pytest.raises(ValueError, match=r"encoders.*'film'"):
            classifier(encoders={"film": None})
        with pytest.raises(ValueError, match=r"searched.*dropout=0\.3"):
            tuning.ClassifierHyperModel(SHAPES, 2, dropout=0.3)
        with pytest.raises(ValueError, match=r"encoders=.*function"):
            tuning.ClassifierHyperModel({"flat": (3,), "text": (3, 5)}, 2)
        for folds, message in (
            ([([0, 1], [1, 2])], "1 that are"),
            ([([0, 1], [])], r"\(0,\)"),
            ([], "none"),
        ):
            with pytest.raises(ValueError, match=message):
                classifier(folds=folds)

    def test_without_the_package(self, monkeypatch):
        for name in ("_hyper_model", "classifier_hyper_model"):
            monkeypatch.delitem(sys.modules, f"keras_mmfusion.tuning.{name}", False)
        monkeypatch.setitem(sys.modules, "keras_tuner", None)
        with pytest.raises(ImportError, match=r"pip install .keras_mmfusion\[tuner\]"):
            _ = tuning.ClassifierHyperModel
        monkeypatch.setitem(sys.modules, "sklearn", None)
        with pytest.raises(ImportError, match=r"pip install .keras_mmfusion\[tuner\]"):
            tuning.group_folds([1, 2], 2)

    def test_arguments_are_documented(self):
        for cls in (tuning.ClassifierHyperModel, tuning.ForecasterHyperModel):
            for name in inspect.signature(cls).parameters:
                assert name in cls.__doc__


@once
class TestBuild:
    @pytest.mark.parametrize("fusion", _search_space.RANGES["fusion"])
    def test_fusions(self, fusion):
        hypermodel = classifier({"dim": (8, 16)})
        options = {
            "num_heads": 2,
            "num_steps": 2,
            "kernel_size": 5,
            "num_layers": 2,
            "rank": 3,
        }
        taken = {k: v for k, v in options.items() if fusion in OPTIONS[k]}
        model = hypermodel.build(values_of(fusion=fusion, dim=16, **taken))
        config = model.get_config()
        assert (config["fusion"], config["dim"]) == (fusion, 16)
        assert config["fusion_options"] == taken
        assert float(model.optimizer.learning_rate) == pytest.approx(0.01)

    def test_encoders_of_every_rank(self):
        shapes = {"beats": (3, 16, 2), "film": (3, 8, 8, 1), "text": (3, 5)}
        hypermodel = tuning.ClassifierHyperModel(shapes, 3, pooling=None)
        hp = values_of(**{"text/encoder": "lstm", "beats/encoder_dim": 16})
        model = hypermodel.build(hp)
        assert "beats/encoder" not in hp
        assert model.get_layer("beats_encoder").output.shape == (None, 3, 32)
        assert isinstance(model.get_layer("text_encoder"), LSTMEncoder)
        assert model.output_shape == (None, 3, 3)

    def test_encoders_of_ones_own(self):
        layer = keras.layers.Dense(6, name="mine")
        own = {
            "voice": lambda hp: keras.layers.Dense(hp.Int("units", 5, 9), name="v"),
            "text": layer,
        }
        ranges = {"fusion": "concat", "dim": 8}
        hypermodel = tuning.ClassifierHyperModel(SHAPES, 2, own, ranges)
        hp = values_of(units=7)
        models = hypermodel.build(hp), hypermodel.build(hp)
        assert models[0].get_layer("v").units == 7
        assert models[0].get_layer("mine") is not models[1].get_layer("mine")
        assert "units" in hp and "voice/encoder" not in hp

    def test_the_seed_makes_the_weights(self):
        hp = values_of(fusion="lmf")
        first, again = (classifier().build(hp).get_weights() for _ in range(2))
        other = classifier(seed=1).build(hp).get_weights()
        assert all(map(np.array_equal, first, again))
        assert not all(map(np.array_equal, first, other))

    @pytest.mark.parametrize("fusion", ["atd", "concat"])
    def test_like_a_model(self, fusion):
        def member(name):
            return BeatClassifier(
                inputs={"shape": (6, 3), "rhythm": (6, 2)},
                encoders={
                    "shape": keras.layers.Dense(5, name="shape_encoder"),
                    "rhythm": None,
                },
                classes=["N", "S", "V"],
                causal=True,
                fusion_options={"causal": True},
                decoder=keras.layers.Dense(6, name="decoder"),
                dim=8,
                name=name,
            )

        ensemble = BeatEnsemble([member("a"), member("b")])
        ensemble.preprocessor = "prepared"
        ranges = {"dim": 16, "num_heads": 4}
        hypermodel = tuning.ClassifierHyperModel.like(ensemble, ranges=ranges)
        model = hypermodel.build(values_of(fusion=fusion, num_steps=2, dropout=0.25))
        config = model.get_config()
        assert isinstance(model, BeatClassifier) and model.classes == ("N", "S", "V")
        assert config["dropout"] == 0.25 and config["dim"] == 16 and config["causal"]
        expected = {"num_heads": 4, "num_steps": 2, "causal": True}
        assert config["fusion_options"] == (expected if fusion == "atd" else {})
        assert model.get_layer("shape_encoder").units == 5
        assert model.get_layer("decoder").kernel.shape == (16, 6)
        assert model.preprocessor == "prepared"
        with pytest.raises(ValueError, match="Received: a Sequential"):
            tuning.ClassifierHyperModel.like(keras.Sequential())
        with pytest.raises(ValueError, match=r"of this search.*'encoder'"):
            tuning.ClassifierHyperModel.like(ensemble, ranges={"encoder": "lstm"})


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

    def test_like_a_model(self):
        model = tuning.ForecasterHyperModel(self.SHAPES, 3).build(values_of())
        hypermodel = tuning.ForecasterHyperModel.like(model, ranges={"dim": 24})
        again = hypermodel.build(values_of(fusion="lmf", rank=3))
        assert again.output_shape == (None, 3, 2)
        assert again.get_config()["fusion_options"] == {"rank": 3}
        assert again.get_config()["encoders"] == model.get_config()["encoders"]
        with pytest.raises(ValueError, match="with a fusion"):
            tuning.ForecasterHyperModel.like(keras.Sequential())
