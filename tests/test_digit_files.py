"""Pictures and recordings of digits from anywhere, and the command that names them."""

import io
import tracemalloc

import numpy as np
import pytest
from backends import once
from digit_files import write_wav
from PIL import Image
from recipe_modules import recipe_modules

from keras_mmfusion import cli, presets
from keras_mmfusion.analysis import class_values, plot_digits
from keras_mmfusion.datasets import RecordError
from keras_mmfusion.preprocessing import (
    DigitPreprocessor,
    read_digit_image,
    trim_silence,
)
from keras_mmfusion.preprocessing.digit_image import to_mnist

pytestmark = once


(architecture,) = recipe_modules("digits", "architecture")


def seven(height=120, width=90, ink=0, paper=255):
    """A drawn 7, off the centre."""
    picture = np.full((height, width), paper, "uint8")
    picture[10:20, 10:60] = ink
    for row in range(20, 90):
        left = 50 - (row - 20) // 2
        picture[row, left : left + 10] = ink
    return picture


def as_in_mnist(image):
    rows, columns = (np.flatnonzero((image > 0).any(axis=a)) for a in (1, 0))
    mass = [image.sum(axis=a) @ np.arange(28) / image.sum() for a in (1, 0)]
    assert image.dtype == "float32" and image.shape == (28, 28)
    assert image.min() == 0 and image.max() == 1
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
    assert abs(mass[0] - 13.5) <= 0.51 and abs(mass[1] - 13.5) <= 0.51


def test_a_digit_is_cut_out_scaled_and_centred():
    image = to_mnist(seven())
    as_in_mnist(image)
    # The bar of the 7 is above, its foot on the left.
    assert image[4:8].sum() > image[20:24].sum()
    # Dark on light or light on dark, and whatever the scale of the numbers.
    np.testing.assert_allclose(to_mnist(255 - seven()), image, atol=1e-6)
    np.testing.assert_allclose(to_mnist(seven() / 1000.0), image, atol=1e-6)


def test_an_image_of_mnist_stays_as_it_is():
    rng = np.random.default_rng(0)
    image = np.zeros((28, 28), "uint8")
    image[5:25, 4:20] = rng.integers(0, 256, (20, 16))
    image[6, 6] = 255
    np.testing.assert_allclose(to_mnist(image), image / 255, atol=1e-6)
    np.testing.assert_allclose(to_mnist(255 - image), image / 255, atol=1e-6)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1", "I;16", "LA"])
def test_every_kind_of_picture(tmp_path, mode):
    path = tmp_path / "seven.png"
    if mode == "I;16":
        Image.fromarray(seven().astype("uint16") * 200).save(path)
    else:
        Image.fromarray(seven()).convert(mode).save(path)
    image = read_digit_image(path)
    as_in_mnist(image)
    np.testing.assert_allclose(image, to_mnist(seven()), atol=0.02)


def test_a_large_picture_takes_little_memory(tmp_path):
    large = np.kron(seven(), np.ones((40, 40), "uint8"))  # 4800 x 3600
    Image.fromarray(large).save(tmp_path / "seven.png", compress_level=1)
    tracemalloc.start()
    image = read_digit_image(tmp_path / "seven.png")
    assert tracemalloc.get_traced_memory()[1] < 4 * large.size
    tracemalloc.stop()
    np.testing.assert_allclose(image, to_mnist(large), atol=0.05)


@pytest.mark.parametrize("shade", [0, 120, 255])
def test_what_is_transparent_is_paper(tmp_path, shade):
    ink = Image.new("RGBA", (90, 120), (shade, shade, shade, 0))
    ink.putalpha(Image.fromarray(255 - seven()))
    ink.save(tmp_path / "seven.png")
    image = read_digit_image(tmp_path / "seven.png")
    np.testing.assert_allclose(image, to_mnist(seven()), atol=0.02)


def test_a_turned_photo_is_set_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # To be shown turned by 90 degrees to the right.
    turned = Image.fromarray(np.rot90(seven()))
    turned.save(tmp_path / "seven.png", exif=exif)
    image = read_digit_image(tmp_path / "seven.png")
    np.testing.assert_allclose(image, to_mnist(seven()), atol=0.02)


@pytest.mark.parametrize("cut", [0, 10], ids=["apart", "ink on the edge"])
def test_light_that_falls_unevenly_is_no_ink(cut):
    y, x = np.mgrid[-1:1:120j, -1:1:90j]
    light = 0.75 - 0.1 * x + 0.1 * y - 0.05 * (x**2 + y**2)
    drawn = seven()[cut:, cut:]
    image = to_mnist(drawn * light[cut:, cut:])
    as_in_mnist(image)
    of_digit, evenly = (x[x.any(1)][:, x.any(0)] for x in (image, to_mnist(drawn)))
    np.testing.assert_allclose(of_digit, evenly, atol=0.4)
    with pytest.raises(ValueError, match="more contrast"):
        to_mnist(255 * light)


def test_pictures_that_show_nothing(tmp_path):
    Image.new("L", (40, 40), 255).save(tmp_path / "blank.png")
    (tmp_path / "text.png").write_text("no picture")
    content = bytearray((tmp_path / "blank.png").read_bytes())
    content[content.index(b"IDAT") - 1] = 1  # byte long: others are taken for a name
    (tmp_path / "broken.png").write_bytes(content)
    for name, message in (
        ("blank.png", "more contrast"),
        ("text.png", "is not a picture"),
        ("broken.png", "is not a picture"),
        ("none.png", "No picture at"),
    ):
        with pytest.raises(RecordError, match=message):
            read_digit_image(tmp_path / name)


def test_silence_is_cut_off_at_both_ends_only():
    rng = np.random.default_rng(0)
    loud, quiet = rng.standard_normal(1600), 1e-4 * rng.standard_normal(1600)
    sound = np.concatenate([quiet, loud, quiet, loud, quiet, quiet])
    np.testing.assert_array_equal(trim_silence(sound, 8000), sound[1600:6400])
    for nothing in (np.zeros(500), np.zeros(0), np.ones(3), np.full(500, 0.3, "f")):
        assert len(trim_silence(nothing, 8000)) == 0
    # What is offset is not loud.
    np.testing.assert_array_equal(trim_silence(sound + 9, 8000), sound[1600:6400] + 9)
    # One NaN made silence of all.
    for other in (np.stack([sound, sound], axis=1), np.append(sound, np.nan)):
        with pytest.raises(RecordError, match="Expected one channel of sound"):
            trim_silence(other, 8000)


@pytest.mark.parametrize("level", [-60, -30, -20])
def test_noise_in_the_pauses_is_cut_off_too(level):
    rng = np.random.default_rng(0)
    fading = np.linspace(1, 0.3, 3200) * rng.standard_normal(3200)
    noise = 10 ** (level / 20) * rng.standard_normal(3200 + 8000)
    sound = noise + np.pad(fading, 4000)
    np.testing.assert_array_equal(trim_silence(sound, 8000), sound[4000:7200])
    # A word without pauses, a tone and noise alone are left as they are.
    tone = np.sin(0.3 * np.arange(3200))
    for whole in (fading, tone, noise):
        np.testing.assert_array_equal(trim_silence(whole, 8000), whole)


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    """A network that was not trained."""
    preprocessor = DigitPreprocessor(samples=2000, mel_bands=8)
    model = architecture.build("initial", "tiny", preprocessor)
    folder = tmp_path_factory.mktemp("presets") / "digits"
    presets.save(model, folder, preprocessor=preprocessor, metadata={"task": "digits"})
    return folder


@pytest.fixture
def files(tmp_path):
    Image.fromarray(seven()).save(tmp_path / "seven.png")
    tone = 0.5 * np.sin(0.3 * np.arange(4000))
    write_wav(tmp_path / "seven.wav", np.pad(tone, (2000, 6000)), rate=16000)
    return str(tmp_path / "seven.png"), str(tmp_path / "seven.wav")


def test_the_command_names_a_digit(preset, files, tmp_path, capsys):
    picture = tmp_path / "out" / "said.png"
    options = ["--preset", str(preset), "--plot", str(picture)]
    assert cli.main(["classify-digit", *files, *options]) == 0
    printed = capsys.readouterr().out
    assert "image and sound" in printed and "image alone" in printed
    assert "0.75 s at 16000 Hz, of which 0.26 s" in printed
    with Image.open(picture) as drawn:
        assert drawn.size[0] > 300 and len(np.unique(np.asarray(drawn))) > 20
    # The numbers printed are those of the model.
    model = presets.load(preset)
    image = read_digit_image(files[0])
    alone = model.predict(model.preprocessor(image), verbose=0)[0]
    assert cli.main(["classify-digit", files[0], "--preset", str(preset)]) == 0
    printed = capsys.readouterr().out
    shown = [float(line.split()[1].rstrip("%")) for line in printed.splitlines()[4:14]]
    np.testing.assert_allclose(shown, 100 * alone, atol=0.051)
    assert f"It is a {alone.argmax()}" in printed
    assert cli.main(["classify-digit", files[1], "--preset", str(preset)]) == 0
    assert "Used of these: the loudest 0.25 s" in capsys.readouterr().out
    write_wav(files[1], np.sin(0.3 * np.arange(1500)))
    assert cli.main(["classify-digit", files[1], "--preset", str(preset)]) == 0
    assert "Used of these" not in capsys.readouterr().out


def test_an_offset_of_the_microphone_is_not_heard(preset, tmp_path, capsys):
    # Whole periods in whole frames, so that its mean is zero.
    tone = np.pad(0.5 * np.sin(np.pi / 10 * np.arange(1920)), 960)
    answers = {}
    for offset in (0.0, 0.1, 0.4):
        write_wav(tmp_path / "7.wav", tone + offset)
        command = ["classify-digit", str(tmp_path / "7.wav"), "--preset", str(preset)]
        assert cli.main(command) == 0
        printed = capsys.readouterr().out
        answers[offset] = [line for line in printed.splitlines() if "%" in line]
        assert ("without a constant offset of +0.400" in printed) == (offset == 0.4)
    assert answers[0.4] == answers[0.0] != answers[0.1]


@pytest.mark.parametrize("samples", [np.zeros(8000), np.full(8000, 0.1), [0.5]])
@pytest.mark.parametrize("given", [slice(0, 2), slice(1, 2)])
def test_a_silent_recording_is_no_digit(preset, files, capsys, samples, given):
    write_wav(files[1], samples)
    assert cli.main(["classify-digit", *files[given], "--preset", str(preset)]) == 2
    assert "is silent: expected a spoken digit" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.wav", "b.wav"], "a picture, a WAV file, or one of each"),
        (["a.png", "b.jpg"], "a picture, a WAV file, or one of each"),
        (["seven.mp3"], "Sounds must be WAV files"),
        (["seven.WEBM"], "Sounds must be WAV files"),
        (["none.png"], "No picture at"),
        (["none.wav"], "No WAV file at"),
        (["none.png", "--plot", "x.png"], "add a WAV file"),
        (["a.wav", "--plot", "x.txt"], "a picture ends in"),
    ],
)
def test_wrong_files(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["classify-digit", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_the_plot_does_not_replace_what_is_read(preset, files, capsys):
    with open(files[0], "rb") as file:
        before = file.read()
    options = ["--preset", str(preset), "--plot", files[0], "--force"]
    assert cli.main(["classify-digit", *files, *options]) == 2
    assert "is what is read. Name another file" in capsys.readouterr().err
    with open(files[0], "rb") as file:
        assert file.read() == before


def test_a_preset_for_something_else(files, capsys):
    assert cli.main(["classify-digit", files[0], "--preset", "step_mitbih"]) == 2
    assert "sees and hears digits" in capsys.readouterr().err


@pytest.mark.parametrize("network", architecture.NETWORKS)
def test_values_over_time_are_those_of_shorter_sounds(network):
    """After `t` steps, the same as a network for `t` steps with the same weights."""
    preprocessor = DigitPreprocessor(samples=1600, mel_bands=8)
    model = architecture.build(network, "tiny", preprocessor)
    rng = np.random.default_rng(0)
    inputs = preprocessor(rng.random((28, 28)), rng.standard_normal(1600))
    values = class_values(model, inputs)
    steps = inputs["sound"].shape[1]
    assert values.shape == (steps, 10)
    for heard in (1, steps // 2, steps):
        shorter = DigitPreprocessor(samples=400 + 200 * (heard - 1), mel_bands=8)
        other = architecture.build(network, "tiny", shorter)
        other.set_weights(model.get_weights())
        part = {"image": inputs["image"], "sound": inputs["sound"][:, :heard]}
        expected = other.predict(part, verbose=0)[0]
        np.testing.assert_allclose(values[heard - 1], expected, atol=1e-5)


def test_examples_with_a_missing_input_are_drawn():
    preprocessor = DigitPreprocessor(samples=1600, mel_bands=8)
    model = architecture.build("fc", "tiny", preprocessor)
    sound = np.sin(0.3 * np.arange(1600))
    examples = {
        r"$\frac$": (preprocessor(np.eye(28), sound), 7),
        "sound": (preprocessor(None, sound), None),
    }
    figure = plot_digits(model, examples)
    assert [a.get_title() for a in figure.axes[:2]] == [r"$\frac$", "sound"]
    figure.savefig(io.BytesIO())  # the name of a file, no formula
    assert "missing" in [t.get_text() for t in figure.axes[1].texts]
