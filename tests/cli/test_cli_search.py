"""The commands that find pictures by words, and words by a picture."""

import io
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from backends import once
from emoji_files import needs_emoji
from PIL import Image

from keras_mmfusion import cli, presets
from keras_mmfusion.analysis import contact_sheet
from keras_mmfusion.datasets.karpathy import load_emoji
from keras_mmfusion.layers import ATDEncoder
from keras_mmfusion.models import FusionRetriever, RetrievalIndex
from keras_mmfusion.preprocessing import CaptionTokenizer, RetrievalPreprocessor

pytestmark = once
COLOURS = {"red": (255, 0, 0), "green": (0, 160, 0), "blue": (0, 0, 255)}


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    """A retriever that knows three colours, as a preset of its own."""
    tokenizer = CaptionTokenizer.learn(list(COLOURS), max_length=4)
    prepare = RetrievalPreprocessor(tokenizer, image_size=8, captions=list(COLOURS))
    keras.utils.set_random_seed(0)
    words = keras.layers.Embedding(tokenizer.vocabulary_size, 8, mask_zero=True)
    pixels = [
        keras.layers.Rescaling(1 / 127.5, -1),
        ATDEncoder(8, patch=(4, 4), num_heads=2),
    ]
    model = FusionRetriever(
        inputs=prepare.shapes,
        encoders={
            "image": keras.Sequential(pixels, name="image_encoder"),
            "text": keras.Sequential(
                [words, ATDEncoder(8, num_heads=2)], name="text_encoder"
            ),
        },
        fusion="concat",
        dim=8,
        embedding_dim=8,
    )
    model.preprocessor = prepare
    pictures = np.array(list(COLOURS.values()), "uint8")[:, None, None]
    x = {
        "image": np.tile(pictures, (1, 8, 8, 1)),
        "text": prepare.texts(list(COLOURS)),
    }
    model.compile(keras.optimizers.Adam(0.02))
    model.fit(x, epochs=60, verbose=0)
    folder = tmp_path_factory.mktemp("preset") / "colours"
    metadata = {"name": "colours", "version": "1.0", "task": "retrieval"}
    presets.save(model, folder, metadata=metadata, golden=x)
    return str(folder)


@pytest.fixture
def gallery(tmp_path):
    folder = tmp_path / "pictures"
    (folder / "more").mkdir(parents=True)
    for name, colour in COLOURS.items():
        place = folder / "more" if name == "blue" else folder
        Image.new("RGB", (20, 20), colour).save(place / f"{name}.PNG")
    (folder / "broken.jpg").write_text("no picture")
    (folder / "notes.txt").write_text("no picture either")
    return folder


def test_search(preset, gallery, tmp_path, capsys):
    sheet, index = tmp_path / "sheet.png", tmp_path / "index.npz"
    common = ["search", "blue", "red", "--preset", preset, "--index", str(index)]
    options = ["--images", str(gallery), "--k", "2", "--plot", str(sheet)]
    assert cli.main([*common, *options]) == 0
    printed = capsys.readouterr().out
    assert "3 pictures in" in printed and "1 cannot be read" in printed
    assert "broken.jpg" in printed and f"Wrote {sheet}" in printed
    lines = printed.splitlines()
    for colour in ("blue", "red"):
        first = lines[lines.index(colour) + 1]
        assert first.split()[0] == "1" and first.endswith(f"{colour}.PNG")
    with Image.open(sheet) as drawn:
        pixels = np.asarray(drawn.convert("RGB")).reshape(-1, 3)
    assert drawn.width > 300 and (pixels == COLOURS["blue"]).all(1).sum() > 1000
    # The second time from the file, even without the pictures.
    (gallery / "red.PNG").unlink()
    assert cli.main([*common, "--plot", str(sheet), "--force"]) == 0
    assert f"3 pictures, as encoded in {index}" in capsys.readouterr().out


def test_caption_search(preset, gallery, tmp_path, capsys):
    picture = str(gallery / "green.PNG")
    assert cli.main(["caption-search", picture, "--preset", preset, "--k", "1"]) == 0
    assert capsys.readouterr().out.splitlines()[2].endswith("green")
    captions = tmp_path / "captions.txt"
    captions.write_text("blue\nred\n\nred\n", encoding="utf-8")
    sheet = tmp_path / "sheet.png"
    options = ["--captions", str(captions), "--plot", str(sheet)]
    assert cli.main(["caption-search", picture, "--preset", preset, *options]) == 0
    printed = capsys.readouterr().out
    assert printed.count(" red") == printed.count(" blue") == 1 and sheet.exists()


@needs_emoji
def test_emoji_by_default(tmp_path, capsys):
    """The preset that ships: what it was trained on it finds, and it has captions."""
    train = load_emoji("en").split("train").take(range(60))
    gallery = tmp_path / "emoji"
    gallery.mkdir()
    for path in train.paths:
        shutil.copy(path, gallery)
    rows = np.searchsorted(train.caption_image, [0, 20, 40])
    words = [train.captions[row] for row in rows]
    assert cli.main(["search", *words, "--images", str(gallery), "--k", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for query, image in zip(words, (0, 20, 40), strict=True):
        found = lines[lines.index(query) + 1 :][:3]
        name = Path(train.paths[image]).name
        assert any(line.endswith(f"/{name}") for line in found), (query, found)
    assert cli.main(["caption-search", str(train.paths[0]), "--k", "10"]) == 0
    assert words[0] in capsys.readouterr().out


def test_wrong_use(preset, gallery, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    bad = tmp_path / "bad.npz"
    np.savez(bad, x=np.zeros(2))
    foreign = tmp_path / "foreign.npz"
    RetrievalIndex("image", np.eye(3, dtype="float32"), tuple("abc")).save(foreign)
    latin = tmp_path / "latin.txt"
    latin.write_bytes("grün\n".encode("latin-1"))
    strange = tmp_path / "strange.txt"
    strange.write_text("辣椒\n猫\n", encoding="utf-8")
    blank = tmp_path / "blank.txt"
    blank.write_text("\n \n")
    search = ["search", "red", "--preset", preset]
    picture = str(gallery / "red.PNG")
    words = ["caption-search", picture, "--preset", preset]
    cases = [
        (search, "--images must be a folder"),
        ([*search, "--images", str(tmp_path / "gone")], "Received: "),
        ([*search, "--images", str(tmp_path / "empty")], "Expected pictures"),
        ([*search, "--index", str(bad)], "must be an index"),
        ([*search, "--index", str(foreign)], "must be of this model"),
        ([*search, "--index", "index.txt"], "An index is a .npz file"),
        ([*search, "--images", str(gallery), "--k", "0"], "--k must be"),
        (
            [*search, "--images", str(gallery), "--index", str(latin / "x.npz")],
            "Cannot write to the folder",
        ),
        (["search", " ", *search[2:], "--images", str(gallery)], "must have a word"),
        (["search", "辣椒", *search[2:]], "knows nothing in '辣椒'"),
        ([*words, "--captions", str(strange)], "knows nothing in '辣椒, 猫'"),
        (["search", "red", "--preset", "step_mitbih"], "Expected a preset that finds"),
        ([*words, "--plot", picture, "--force"], "is what is read"),
        ([*words, "--captions", str(latin)], "must be UTF-8"),
        ([*words, "--captions", str(tmp_path)], "No captions at"),
        ([*words, "--captions", str(blank)], "a caption in each line"),
        (["caption-search", str(gallery / "broken.jpg"), *words[2:]], "cannot be read"),
    ]
    for arguments, message in cases:
        assert cli.main(arguments) == 2, arguments
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1, (arguments, error)
    assert not (tmp_path / "index.npz").exists()


def test_contact_sheet():
    red = np.full((8, 8, 3), [255, 0, 0], "uint8")
    rows = [("a red square", [(red, "0.9")]), (red, [("long words " * 20, "0.5")] * 3)]
    figure = contact_sheet(rows, title="found")
    assert len(figure.axes) == 8
    shown = [axes for axes in figure.axes if axes.images]
    assert len(shown) == 2 and shown[0].get_title() == "1.  0.9"
    with pytest.raises(ValueError, match="at least one query"):
        contact_sheet([])
    contact_sheet([(r"$\frac$", [(red, "0.9")])]).savefig(io.BytesIO())  # no formula
