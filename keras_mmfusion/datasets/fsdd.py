"""Free Spoken Digit Dataset: 3,000 recordings of ten digits by six speakers.

Jakobovski/free-spoken-digit-dataset, doi:10.5281/zenodo.1342401.
"""

import io
import re
import struct
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_mmfusion.datasets._find import find_folder
from keras_mmfusion.datasets.ecg_record import RecordError

URL = "https://github.com/Jakobovski/free-spoken-digit-dataset"
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
# Programs that write into a pipe give the data a size of 2 GB or more, not knowing it.
_UNKNOWN_SIZE = 0x7FFFF000
_NAME = re.compile(r"(\d)_([^_]+)_(\d+)\.wav")


@dataclass(frozen=True)
class SpokenDigits:
    """Recordings of digits.

    Attributes:
        waves: list of float32 arrays `(samples,)` from -1 to 1, one a recording.
        labels: int64 array `(recordings,)`, the digits.
        speakers: array `(recordings,)` of str.
        names: tuple of file names.
        rate: float. Samples a second.
    """

    waves: list
    labels: np.ndarray
    speakers: np.ndarray
    names: tuple
    rate: float


def find_fsdd(data_dir=None):
    """Folder with the WAV files: `data_dir`, `KERAS_MMFUSION_DATA`, or the cache.

    Args:
        data_dir: Folder that holds the WAV files or a folder `recordings` with them,
            or that holds a folder `fsdd` which does. Defaults to `None`.

    Raises:
        RecordError: No such folder; the message lists where it looked.
    """
    folder = find_folder(
        "fsdd",
        lambda folder: _recordings(folder) is not None,
        data_dir,
        "The Free Spoken Digit Dataset",
        f"Clone {URL} (CC BY-SA 4.0) as fsdd",
    )
    return _recordings(folder)


def load_fsdd(data_dir=None, speakers=SPEAKERS):
    """Read recordings of spoken digits.

    Args:
        data_dir: See `find_fsdd`.
        speakers: str or sequence of str, whose recordings to read; None for all.
            Defaults to the six of the release.

    Returns:
        `SpokenDigits`, ordered by digit, speaker and number.

    Raises:
        RecordError: Nothing is there, a speaker has no recording, a file cannot be
            read, or not all have the same rate.

    Example:

    ```python
    from keras_mmfusion.datasets.fsdd import load_fsdd

    spoken = load_fsdd()
    len(spoken.waves), spoken.rate  # (3000, 8000.0)
    ```
    """
    speakers = (speakers,) if isinstance(speakers, str) else speakers
    folder = find_fsdd(data_dir)
    names = [_NAME.fullmatch(path.name) for path in folder.glob("*.wav")]
    found = sorted((m[1], m[2], int(m[3]), m[0]) for m in names if m)
    if speakers is not None:
        there = {speaker for _, speaker, _, _ in found}
        if not set(speakers) <= there:
            raise RecordError(
                f"Expected recordings of {', '.join(speakers)} in {folder}. Received: "
                f"those of {', '.join(sorted(there))}. Name some of these."
            )
        found = [row for row in found if row[1] in speakers]
    read = [read_wav(folder / name) for *_, name in found]
    rates = {rate for _, rate in read}
    if len(rates) != 1:
        raise RecordError(
            f"Expected recordings of one rate in {folder}. Received: "
            f"{', '.join(f'{rate:g}' for rate in sorted(rates)) or 'none'} Hz."
        )
    return SpokenDigits(
        waves=[samples for samples, _ in read],
        labels=np.array([int(digit) for digit, *_ in found], "int64"),
        speakers=np.array([speaker for _, speaker, *_ in found]),
        names=tuple(name for *_, name in found),
        rate=rates.pop(),
    )


def read_wav(path):
    """Read a WAV file of whole numbers (PCM), of several channels their mean.

    Numbers have 8 to 32 bits. A file that was written into a pipe, without knowing its
    length, is read to its end.

    Args:
        path: Path of the file.

    Returns:
        `(samples, rate)`: float32 array from -1 to 1, and samples a second.

    Raises:
        RecordError: The file is missing, empty, cut short, without a rate, or of
            another format.

    Example:

    ```python
    import wave
    import numpy as np
    from keras_mmfusion.datasets.fsdd import read_wav

    with wave.open("beep.wav", "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(np.array([0, 16384], "<i2").tobytes())
    samples, rate = read_wav("beep.wav")
    assert samples.tolist() == [0.0, 0.5] and rate == 8000
    ```
    """
    path = Path(path)
    if not path.is_file():
        raise RecordError(f"No WAV file at {path}. Check the path and the name.")
    try:
        with wave.open(io.BytesIO(_plain(path.read_bytes()))) as file:
            width, channels = file.getsampwidth(), file.getnchannels()
            count, rate = file.getnframes(), file.getframerate()
            content = file.readframes(count)
        if width > 4:
            raise wave.Error(f"{8 * width} bits a sample")
    except (wave.Error, EOFError, RuntimeError) as error:
        raise RecordError(
            f"{path} is not a WAV file of whole numbers "
            f"({str(error) or 'it ends too early'}). Convert it, for example with "
            "ffmpeg -i in out.wav."
        ) from error
    if not count or len(content) != count * channels * width:
        raise RecordError(
            f"{path} is empty or cut short: expected {count:,} samples. Received: "
            f"{len(content) // (channels * width):,}. Get it again."
        )
    if not rate:
        raise RecordError(
            f"{path} does not say how fast to play it: expected 8,000 samples a second "
            "or another rate in its header. Received: 0. Convert it from its source."
        )
    samples = _to_float(content, width).reshape(-1, channels).mean(axis=1)
    return samples.astype("float32"), float(rate)


def _plain(content):
    """A WAV file with a header that `wave` reads, from two that it does not."""
    content, place = bytearray(content), 12
    while place + 8 <= len(content):
        name, size = struct.unpack_from("<4sI", content, place)
        body = place + 8
        if name == b"fmt " and content[body : body + 2] == b"\xfe\xff":
            # WAVE_FORMAT_EXTENSIBLE: the format follows, at the start of a GUID.
            content[body : body + 2] = content[body + 24 : body + 26]
        if name == b"data":
            if size >= _UNKNOWN_SIZE:
                struct.pack_into("<I", content, place + 4, len(content) - body)
            break
        place = body + size + size % 2
    return content


def _to_float(content, width):
    if width == 1:  # unsigned, around 128
        return (np.frombuffer(content, "u1").astype("float64") - 128) / 128
    # Shorter numbers become the upper bytes of 32 bits.
    whole = np.zeros((len(content) // width, 4), "u1")
    whole[:, 4 - width :] = np.frombuffer(content, "u1").reshape(-1, width)
    return whole.view("<i4")[:, 0] / 2.0**31


def _recordings(folder):
    """The folder that holds the WAV files, this one or the one below; or None."""
    for place in (folder, folder / "recordings"):
        if place.is_dir() and any(_NAME.fullmatch(p.name) for p in place.iterdir()):
            return place
    return None
