"""Frames of a video as the features of an image network."""

import itertools
import numbers
from pathlib import Path

import keras
import numpy as np

from keras_mmfusion._checks import check_positive_int, positive_ints
from keras_mmfusion.datasets.ecg_record import RecordError


class FrameFeatures:
    """A vector for each frame, from any image network of Keras.

    Frames are resized to what the network takes, prepared by its own function, and run
    through it in batches. Of maps, the mean over all places is taken. Frames come from
    an array or, one after the other, from a generator such as `read_frames`.

    Args:
        backbone: `keras.Model` from images `(batch, height, width, 3)` to one map or
            vector each: of Keras Applications with `include_top=False`, or a backbone
            of KerasHub.
        preprocess: Callable on a float32 array `(batch, height, width, 3)` from 0 to
            255, such as `keras.applications.resnet.preprocess_input`. Defaults to
            `None`: the network prepares images itself.
        size: `(height, width)`. Defaults to `None`: what `backbone` takes, or frames
            as they are if it takes any size.
        batch_size: int. Frames at a time. Defaults to `32`.

    Call arguments:
        frames: Array `(frames, height, width, 3)`, or iterable of `(height, width, 3)`
            of one size, red, green and blue from 0 to 255.
        progress: Callable `(done, total)`, called after each batch; `total` is None
            where the number of frames is unknown. Defaults to `None`.

    Returns:
        float32 array `(frames, features)`.

    Raises:
        ValueError: The network takes no images of three colours, or gives more than
            one output; frames of another shape, of several sizes, or none.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_mmfusion.preprocessing import FrameFeatures

    network = keras.applications.MobileNet(
        (32, 32, 3), alpha=0.25, include_top=False, weights=None
    )
    prepare = keras.applications.mobilenet.preprocess_input
    features = FrameFeatures(network, prepare)
    assert features(np.zeros((5, 48, 64, 3), "uint8")).shape == (5, 256)
    ```

    Reference:
        Zheng et al., "Multi-channel weight-sharing autoencoder based on cascade
        multi-head attention for multimodal emotion recognition", IV.B: the 2048
        numbers of a ResNet, `keras.applications.ResNet50` or deeper.
    """

    def __init__(self, backbone, preprocess=None, size=None, batch_size=32):
        check_positive_int(batch_size=batch_size)
        shape = getattr(backbone, "input_shape", None)
        if not isinstance(shape, tuple) or len(shape) != 4 or shape[-1] != 3:
            raise ValueError(
                "Expected a network that takes images (batch, height, width, 3). "
                f"Received: one that takes {shape}."
            )
        taken = tuple(shape[1:3])
        if size is None and None not in taken:
            size = taken
        if size is not None:
            size = positive_ints("size", tuple(size) if np.iterable(size) else size)
            if len(size) != 2:
                raise ValueError(
                    f"`size` must be (height, width). Received: size={size}"
                )
            if any(n not in (None, m) for n, m in zip(taken, size, strict=True)):
                raise ValueError(
                    f"Expected a size that the network takes, {taken}. Received: "
                    f"size={size}. Leave it out, or build the network for that size."
                )
        if preprocess is not None and not callable(preprocess):
            raise ValueError(
                "`preprocess` must be a function of an array, such as "
                "keras.applications.resnet.preprocess_input, or None. "
                f"Received: preprocess={preprocess!r}"
            )
        self.backbone = backbone
        self.preprocess = preprocess
        self.size = size
        self.batch_size = batch_size

    def __call__(self, frames, progress=None):
        if not np.iterable(frames):
            raise ValueError(
                "Expected frames, an array or an iterable. "
                f"Received: {type(frames).__name__}"
            )
        total = len(frames) if hasattr(frames, "__len__") else None
        frames, features, done = iter(frames), [], 0
        while batch := list(itertools.islice(frames, self.batch_size)):
            features.append(self._features(batch))
            done += len(batch)
            if progress:
                progress(done, total)
        if not features:
            raise ValueError(
                "Expected at least one frame. Received: none. Check the video, and "
                "the part of it that is read."
            )
        return np.concatenate(features)

    def _features(self, batch):
        shapes = {np.shape(frame) for frame in batch}
        shape = next(iter(shapes))
        if len(shapes) != 1 or len(shape) != 3 or shape[-1] != 3:
            raise ValueError(
                "Expected frames (height, width, 3) of one size. Received: "
                f"{', '.join(str(shape) for shape in sorted(shapes))}. Make grey "
                "frames three equal colours, and resize others beforehand."
            )
        x = np.stack(batch).astype("float32")
        if self.size not in (None, shape[:2]):
            x = keras.ops.image.resize(
                x, self.size, antialias=True, data_format="channels_last"
            )
            x = np.array(keras.ops.convert_to_numpy(x))
        if self.preprocess is not None:
            x = self.preprocess(x)
        x = self.backbone.predict_on_batch(x)
        if not isinstance(x, np.ndarray) or x.ndim < 2:
            raise ValueError(
                "Expected a network with one output, a map or vector an image. "
                f"Received: {type(x).__name__} of outputs. Give a model that ends in "
                "one of them."
            )
        x = x.astype("float32")
        return x.mean(axis=tuple(range(1, x.ndim - 1)))


def read_frames(path, every=1, start=0.0, end=None):
    """Read the frames of a video, or of a part of it, one after the other.

    Args:
        path: Path of a video that FFmpeg can read, AVI and MP4 among others.
        every: int. One of so many frames, from the first one on. Defaults to `1`.
        start: float. Seconds from which on to read. Defaults to `0.0`.
        end: float. Seconds before which frames lie. Defaults to `None`: all the rest.

    Returns:
        Generator of uint8 arrays `(height, width, 3)`, red, green and blue.

    Raises:
        RecordError: The file is missing, is no video, is damaged, or does not say
            when its frames are to be seen.
        ImportError: PyAV is not installed.
        ValueError: `every` is no positive integer, or the part ends before it starts.

    Example:

    ```python
    from PIL import Image
    from keras_mmfusion.preprocessing import read_frames

    shades = [Image.new("RGB", (64, 48), (60 * i, 0, 0)) for i in range(5)]
    shades[0].save("clip.gif", save_all=True, append_images=shades[1:], duration=100)
    frames = list(read_frames("clip.gif", every=2, start=0.1))
    assert [int(frame[0, 0, 0]) for frame in frames] == [60, 180]
    ```
    """
    check_positive_int(every=every)
    seconds = all(
        isinstance(time, numbers.Real) and not np.isnan(time)
        for time in (start, 0 if end is None else end)
    )
    if not seconds or not 0 <= start < (np.inf if end is None else end):
        raise ValueError(
            f"Expected 0 <= start < end, in seconds. Received: start={start}, end={end}"
        )
    try:
        import av
    except ImportError as error:
        raise ImportError(
            "Reading videos needs the package PyAV: pip install 'keras_mmfusion[video]'"
        ) from error
    path = Path(path)
    if not path.is_file():
        raise RecordError(f"No video at {path}. Check the path and the name.")
    return _frames(av, path, every, start, end)


def _frames(av, path, every, start, end):
    untimed = RecordError(
        f"{path} does not say when each frame is to be seen. Read all of it, or "
        "convert it with ffmpeg -i in out.mp4."
    )
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise RecordError(f"{path} has no pictures. Name a video.")
            if start:
                _seek(av, container, start, untimed)
            seen, last = 0, -np.inf
            for frame in container.decode(video=0):
                if start or end is not None:
                    # In AVI files, B-frames have the times of others.
                    if frame.time is None or frame.time <= last:
                        raise untimed
                    last = frame.time
                    if end is not None and last >= end:
                        return
                    if last < start:
                        continue
                if seen % every == 0:
                    yield frame.to_ndarray(format="rgb24")
                seen += 1
    except av.FFmpegError as error:
        raise RecordError(
            f"{path} is not a video that FFmpeg can read ({error}). Convert it, for "
            "example with ffmpeg -i in out.mp4."
        ) from error


def _seek(av, container, start, untimed):
    """To the last frame before `start` from which on can be decoded."""
    try:
        container.seek(int(start * av.time_base))
    except av.FFmpegError as error:
        raise untimed from error
