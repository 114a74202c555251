"""The retrieval recipe: on a few emoji, and what it releases without weights."""

import json

import numpy as np
import pytest
from backends import only_on
from emoji_files import needs_emoji
from recipe_modules import RECIPES, recipe_modules

from keras_mmfusion import presets

pytestmark = only_on("torch")
architecture, card, data, evaluate, release, scoring, train = recipe_modules(
    "retrieval",
    "architecture",
    "card",
    "data",
    "evaluate",
    "release",
    "scoring",
    "train",
)
COMMAND = "python recipes/retrieval/train.py --corpus "
ZOO = RECIPES.parent / "zoo"


@pytest.fixture
def small(monkeypatch):
    """As many test images as there are to train on."""
    load = data.load

    def load_some(corpus, split, prepare, data_dir=None, limit=16):
        return load(corpus, split, prepare, data_dir, limit)

    monkeypatch.setattr(data, "load", load_some)


@needs_emoji
@pytest.mark.parametrize("corpus", ["emoji_en", "emoji_zh"])
def test_train_and_evaluate(corpus, small, tmp_path, capsys):
    places = ["--corpus", corpus, "--output", str(tmp_path)]
    smoke = ["--smoke", "--quiet", "--models", "zoom_shift", *places]
    train.main(smoke)
    run = tmp_path / corpus / "zoom_shift" / "seed0"
    facts = json.loads((run / "run.json").read_text())
    assert facts["rerank_weight"] in train.WEIGHTS
    options = "--models zoom_shift --seeds 0 --epochs 1 --batch-size 16 --images 32"
    assert facts["command"] == f"{COMMAND}{corpus} {options}"
    assert not (run / "test.json").exists(), "training has looked at the test images"
    capsys.readouterr()
    train.main(smoke)
    assert "complete" in capsys.readouterr().out
    with pytest.raises(SystemExit, match=r"--images 32\. Received: --epochs 60 --b"):
        train.main(["--quiet", "--models", "zoom_shift", *places])

    evaluate.main(places)
    found = json.loads((run / "test.json").read_text())
    assert set(found) == {"towers", "reranked"}
    assert 0 <= found["towers"]["mean_recall"] <= 1
    shown = capsys.readouterr().out
    for row in ("chance", "neighbours", "zoom_shift, towers", "zoom_shift, reranked"):
        assert row in shown

    zoo = tmp_path / "zoo"
    released = [corpus, "--output", str(tmp_path), "--zoo", str(zoo)]
    release.main(released)
    folder = zoo / f"zoomshift_{corpus}"
    info = presets.info(folder)
    recall = info["baselines"]["released_weights"]["mean_recall"]
    assert recall == pytest.approx(found["reranked"]["mean_recall"], abs=1e-5)
    assert info["baselines"]["images"] == {"train": 16, "val": 16, "test": 16}
    card_text = (folder / "README.md").read_text(encoding="utf-8")
    assert f"mean recall {recall:.3f}" in card_text
    model = presets.load(folder)
    assert len(model.preprocessor.captions) > 16
    assert "zoom_shift,zoomshift_" in (zoo / "results.csv").read_text()


def test_release_needs_runs(tmp_path):
    with pytest.raises(
        SystemExit, match=r"must be runs in .*emoji_en.zoom_shift\. Rec"
    ):
        release.main(["emoji_en", "--output", str(tmp_path), "--zoo", str(tmp_path)])
    with pytest.raises(SystemExit):
        release.main(["emoji_fr"])


def test_neighbours_know_colours_and_words():
    """Red things are called red: found; and chance finds one in the number of them."""
    colours = np.array([[250, 0, 0], [0, 250, 0], [0, 0, 250], [250, 250, 0]], "uint8")
    images = np.broadcast_to(colours[:, None, None], (4, 8, 8, 3))
    texts = np.array([[1, 9], [2, 9], [3, 9], [4, 9]])
    part = data.Part(images, texts, ("",) * 4, np.arange(4))
    many = data.Part(
        np.repeat(images, 8, axis=0),
        np.repeat(texts, 8, axis=0),
        ("",) * 32,
        np.arange(32),
    )
    found = scoring.neighbours(many, part)
    assert found["tr_r1"] == found["ir_r1"] == 1.0
    assert scoring.chance(part)["tr_r1"] == pytest.approx(0.25, abs=0.1)


@pytest.mark.parametrize("corpus", card.CORPORA)
def test_cards_without_weights(corpus):
    """What is in the zoo is what the recipe writes, at the size of the paper."""
    folder = ZOO / f"zoomshift_{corpus}"
    metadata = json.loads((folder / "metadata.json").read_text(encoding="utf-8"))
    written = card.metadata(folder.name, corpus, metadata["recipe"]["commit"])
    inputs = written.pop("inputs")
    assert {key: metadata[key] for key in written} == written
    for name, about in inputs.items():
        assert metadata["inputs"][name].items() >= about.items()
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert text.endswith(
        f"---\n\n{card.text(folder.name, corpus, metadata['parameters'])}"
    )
    assert "model.weights.h5" not in metadata["files"]
    side = architecture.PAPER.image
    assert metadata["inputs"]["image"]["shape"] == [side, side, 3]
