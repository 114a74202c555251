"""Features of frames, and frames of videos."""

import builtins
import wave

import keras
import numpy as np
import pytest
from backends import once, run

from keras_mmfusion.datasets import RecordError
from keras_mmfusion.preprocessing import FrameFeatures, read_frames


def frames(count, height=32, width=32):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, height, width, 3), dtype="uint8")


def identity(*size):
    """A network whose features are the picture."""
    image = keras.Input((*size, 3))
    return keras.Model(image, keras.layers.Flatten()(image))


def test_a_network_of_keras_applications():
    """Its map is averaged: the same as its own pooling, with the same weights."""
    maps, vectors = (
        keras.applications.MobileNet(
            (32, 32, 3),
            alpha=0.25,
            include_top=False,
            weights=None,
            pooling=pooling,
        )
        for pooling in (None, "avg")
    )
    # As they are drawn, nothing gets through to the end.
    maps.set_weights([5 * w if w.ndim == 4 else w for w in maps.get_weights()])
    vectors.set_weights(maps.get_weights())
    x = frames(5)
    calls = []
    prepare = keras.applications.mobilenet.preprocess_input
    features = FrameFeatures(maps, prepare, batch_size=2)
    found = features(iter(x), lambda *call: calls.append(call))
    assert found.shape == (5, 256) and found.dtype == "float32"
    assert calls == [(2, None), (4, None), (5, None)]
    expected = run(vectors, x.astype("float32") / 127.5 - 1, training=False)
    assert np.abs(expected[1] - expected[0]).max() > 0.1
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert x.max() == 255, "prepared in place"


def test_frames_are_resized_as_pillow_does():
    Image = pytest.importorskip("PIL.Image")
    x = frames(2, 36, 64)
    found = FrameFeatures(identity(18, 16))(x)
    for row, frame in zip(found, x, strict=True):
        small = Image.fromarray(frame).resize((16, 18), Image.Resampling.BILINEAR)
        assert np.abs(row.reshape(18, 16, 3) - np.asarray(small)).max() <= 1.01


def test_sizes_and_what_is_prepared():
    """Any size without `size`; the function gets resized floats up to 255."""
    image = keras.Input((None, None, 3))
    network = keras.Model(image, 2 * image)
    x = np.full((3, 8, 6, 3), [10, 20, 30], "uint8")
    np.testing.assert_array_equal(FrameFeatures(network)(x), [[20, 40, 60]] * 3)
    seen = []

    def prepare(batch):
        seen.append((batch.shape, str(batch.dtype), float(batch.max())))
        return batch[..., ::-1]

    found = FrameFeatures(network, prepare, size=(4, 5))(x)
    np.testing.assert_allclose(found, [[60, 40, 20]] * 3, atol=1e-4)
    assert seen[0][:2] == ((3, 4, 5, 3), "float32") and seen[0][2] > 29.9


@once
def test_wrong_networks_and_frames():
    for shape in ((32,), (8, 8, 1)):
        image = keras.Input(shape)
        with pytest.raises(ValueError, match="a network that takes images"):
            FrameFeatures(keras.Model(image, 2 * image))
    with pytest.raises(ValueError, match="a network that takes images"):
        FrameFeatures(np.abs)
    with pytest.raises(ValueError, match=r"takes, \(8, 8\). Received: size=\(9, 8\)"):
        FrameFeatures(identity(8, 8), size=(9, 8))
    features = FrameFeatures(identity(8, 8))
    for x in (np.zeros((2, 8, 8)), [np.zeros((8, 8, 3)), np.zeros((9, 8, 3))]):
        with pytest.raises(ValueError, match=r"Expected frames \(height, width, 3\)"):
            features(x)
    with pytest.raises(ValueError, match="at least one frame"):
        features(iter([]))
    image = keras.Input((8, 8, 3))
    two = FrameFeatures(keras.Model(image, [image, 2 * image]))
    with pytest.raises(ValueError, match=r"one output.*Received: list"):
        two(frames(1, 8, 8))


def write_video(path, count=30, codec="mpeg4"):
    """Of 10 frames a second, each brighter than the one before."""
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.gop_size, stream.bit_rate = 12, 4_000_000
        for i in range(count):
            picture = np.full((48, 64, 3), [8 * i, 8 * i, 0], "uint8")
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


@once
def test_frames_of_a_video(tmp_path):
    path = tmp_path / "clip.avi"
    write_video(path)

    def numbers(**kwargs):
        found = list(read_frames(path, **kwargs))
        assert all(x.shape == (48, 64, 3) and x.dtype == "uint8" for x in found)
        assert max(x[..., 2].mean() for x in found) < 12, "blue before red"
        return [round(x[..., 0].mean() / 8) for x in found]

    assert numbers() == list(range(30))
    assert numbers(every=7) == [0, 7, 14, 21, 28]
    # Frame 20 is none from which on can be decoded.
    assert numbers(start=1.95, end=2.45) == [20, 21, 22, 23, 24]
    assert numbers(every=4, start=0.45) == list(range(5, 30, 4))
    features = FrameFeatures(identity(6, 8))(read_frames(path, every=10))
    assert features.shape == (3, 144)


@once
@pytest.mark.parametrize("name", ["no_times.h264", "wrong_times.avi"])
def test_videos_that_do_not_say_when(tmp_path, name):
    path = tmp_path / name
    write_video(path, codec="libx264")
    brightness = [x.mean() for x in read_frames(path)]
    assert len(brightness) == 30 and np.diff(brightness).min() > 0
    for arguments in ({"start": 0.5}, {"end": 2.5}):
        with pytest.raises(RecordError, match="does not say when"):
            list(read_frames(path, **arguments))


@once
def test_videos_that_cannot_be_read(tmp_path, monkeypatch):
    def without(name, *args, _import=builtins.__import__, **kwargs):
        if name == "av":
            raise ImportError(name)
        return _import(name, *args, **kwargs)

    for arguments in ({"start": -1}, {"start": 2, "end": 2}):
        with pytest.raises(ValueError, match="0 <= start < end"):
            read_frames("clip.avi", **arguments)
    with pytest.raises(ValueError, match="`every` must be a positive integer"):
        read_frames("clip.avi", every=0)
    with monkeypatch.context() as patch:
        patch.setattr(builtins, "__import__", without)
        with pytest.raises(ImportError, match="PyAV: pip install"):
            read_frames("clip.avi")
    pytest.importorskip("av")
    with pytest.raises(RecordError, match="No video at"):
        read_frames(tmp_path / "nothing.avi")
    (tmp_path / "text.avi").write_text("no video " * 99)
    with pytest.raises(RecordError, match="not a video that FFmpeg can read"):
        next(read_frames(tmp_path / "text.avi"))
    sound = tmp_path / "sound.wav"
    with wave.open(str(sound), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(1600))
    with pytest.raises(RecordError, match="has no pictures"):
        next(read_frames(sound))
