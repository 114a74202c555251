"""What is searched, and the models that are built of it."""

import inspect
import sys

import keras
import numpy as np
import pytest
from backends import once
from small_searches import SHAPES, classifier, values_of

from keras_mmfusion import tuning
from keras_mmfusion.layers import LSTMEncoder
from keras_mmfusion.models import FUSIONS, BeatClassifier, BeatEnsemble
from keras_mmfusion.tuning import _search_space
from keras_mmfusion.tuning._search_space import OPTIONS, RANGES, search_space

keras_tuner = pytest.importorskip("keras_tuner")


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
