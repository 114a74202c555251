"""`mmfusion classify-digit`: name a digit from its picture, its sound, or both."""

from contextlib import nullcontext
from pathlib import Path

from keras_mmfusion.cli._outputs import staged
from keras_mmfusion.cli.annotate import check_picture
from keras_mmfusion.datasets import RecordError

PRESET = "convlstm_digits_initial"
# Of a sound's mean, in standard deviations; none of the 3,000 in FSDD has more. What a
# sound card adds beyond that would be the loudest of all bins.
LARGEST_OFFSET = 0.5
# What telephones and browsers record, and what else is no WAV file.
OTHER_SOUNDS = (
    *(".3gp", ".aac", ".aif", ".aiff", ".amr", ".au", ".caf", ".flac", ".m4a"),
    *(".mka", ".mp3", ".mp4", ".oga", ".ogg", ".opus", ".webm", ".wma"),
)


def add_parser(commands):
    parser = commands.add_parser(
        "classify-digit",
        help="name a digit that is written, spoken, or both",
        description="Name the digit in a picture and in a recording of it. Either may "
        "be left out. The picture may be of any size, dark on light or light on dark; "
        "the recording is a WAV file of one spoken digit.",
    )
    parser.add_argument(
        "files",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="a picture, a WAV file, or both",
    )
    parser.add_argument(
        "--preset",
        default=PRESET,
        help="trained model to use, a name or a folder (default: %(default)s)",
    )
    parser.add_argument(
        "--plot",
        type=Path,
        metavar="FILE",
        help="draw what the model says while it hears the sound",
    )
    parser.add_argument(
        "--force", action="store_true", help="replace the picture if it exists"
    )
    parser.set_defaults(run=run)


def run(args):
    """Run the command; `args` are its parsed arguments."""
    check_picture(args.plot, "digits")
    image_file, sound_file = sort_files(args.files)
    if args.plot and sound_file is None:
        raise RecordError("--plot draws what is said over time: add a WAV file.")
    image, sound, rate, lines = read(image_file, sound_file)
    with plot_file(args) as parts:
        model = load_model(args.preset)
        inputs = model.preprocessor(image, sound, rate)
        heard = model.preprocessor.samples / model.preprocessor.rate
        if sound is not None and len(sound) / rate > heard:
            lines.append(f"        Used of these: the loudest {heard:.2f} s")
        columns = predict(model, inputs)
        for part in parts:
            from keras_mmfusion.analysis.digit_plot import plot_digits

            title = " and ".join(file.name for file in args.files)
            plot_digits(model, {title: (inputs, None)}).savefig(part)
    print("\n".join([*lines, f"Model   {args.preset}", "", *table(columns)]))
    if args.plot:
        print(f"\nWrote {args.plot}")
    return 0


def plot_file(args):
    """Where to draw, in place at the end and never over what is read."""
    if not args.plot:
        return nullcontext([])
    return staged([args.plot], args.force, reads=args.files)


def sort_files(files):
    """`(picture, recording)`, None for what is not there, in any order."""
    for file in files:
        if file.suffix.lower() in OTHER_SOUNDS:
            raise RecordError(
                f"Sounds must be WAV files. Received: {file}. Convert it, for example "
                f"with ffmpeg -i {file} {file.with_suffix('.wav')}"
            )
    sounds = [file for file in files if file.suffix.lower() == ".wav"]
    images = [file for file in files if file not in sounds]
    if len(sounds) > 1 or len(images) > 1:
        raise RecordError(
            "Expected a picture, a WAV file, or one of each. Received: "
            f"{', '.join(map(str, files))}"
        )
    return images[0] if images else None, sounds[0] if sounds else None


def read(image_file, sound_file):
    """`(image, sound, rate, lines that say what was read)`."""
    import numpy as np

    from keras_mmfusion.datasets.fsdd import read_wav
    from keras_mmfusion.preprocessing import read_digit_image, trim_silence

    image = sound = rate = None
    lines = []
    if image_file is not None:
        image = read_digit_image(image_file)
        lines.append(f"Image   {image_file}")
    if sound_file is not None:
        whole, rate = read_wav(sound_file)
        sound = trim_silence(whole, rate)
        if not len(sound):
            raise RecordError(
                f"{sound_file} is silent: expected a spoken digit. Received: "
                f"{len(whole):,} samples that are all alike. Record it again, or leave "
                "it out."
            )
        lines.append(
            f"Sound   {sound_file}: {len(whole) / rate:.2f} s at {rate:g} Hz, of which "
            f"{len(sound) / rate:.2f} s are not silent"
        )
        offset = np.mean(sound)
        if abs(offset) > LARGEST_OFFSET * np.std(sound):
            sound = sound - offset
            lines.append(f"        without a constant offset of {offset:+.3f}")
    return image, sound, rate, lines


def load_model(preset):
    from keras_mmfusion import presets
    from keras_mmfusion.preprocessing import DigitPreprocessor

    model = presets.load(preset)
    if not isinstance(getattr(model, "preprocessor", None), DigitPreprocessor):
        raise RecordError(
            f"Expected a preset that sees and hears digits, such as {PRESET}. "
            f"Received: {preset}. See: mmfusion presets"
        )
    return model


def predict(model, inputs):
    """`{title: probabilities}`: of all that is there, then of each input alone."""
    import numpy as np

    there = [name for name, x in inputs.items() if not np.isnan(x).all()]
    seen = {" and ".join(there): there}
    if len(there) > 1:
        seen |= {f"{name} alone": [name] for name in there}
    batch = {
        name: np.concatenate(
            [x if name in kept else np.full_like(x, np.nan) for kept in seen.values()]
        )
        for name, x in inputs.items()
    }
    return dict(zip(seen, model.predict(batch, verbose=0), strict=True))


def table(columns):
    """Probabilities by digit, a column for each of what the model was given."""
    titles = [f"{title:>17s}" for title in columns]
    lines = ["Digit " + "".join(titles)]
    for digit in range(10):
        cells = [f"{100 * values[digit]:16.1f}%" for values in columns.values()]
        lines.append(f"  {digit}   " + "".join(cells))
    first = next(iter(columns.values()))
    lines += ["", f"It is a {first.argmax()} ({first.max():.1%})."]
    return lines
