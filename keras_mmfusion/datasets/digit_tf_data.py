"""The batches of digits as a `tf.data.Dataset`, with spectrograms by tensorflow-io."""

import importlib
import warnings


def tf_dataset(batches):
    """Make a `tf.data.Dataset` that gives the arrays of `DigitBatches`.

    TensorFlow computes spectrograms, mel bands and masks of sound, through
    tensorflow-io. Masks are drawn by it too, as `tf.random.set_seed` says. Without
    tensorflow-io all of it is done in numpy, and a warning says so.

    Args:
        batches: `DigitBatches`.

    Returns:
        A dataset of `(x, labels)`, one element a batch, of known length.

    Raises:
        ImportError: TensorFlow is not installed.

    Example:

    ```python
    from keras_mmfusion.datasets.digit_batches import DigitBatches
    from keras_mmfusion.datasets.digit_tf_data import tf_dataset
    from keras_mmfusion.datasets.digits import load_digits

    dataset = tf_dataset(DigitBatches(load_digits(), "validation"))
    x, y = next(iter(dataset))
    x["sound"].shape  # (64, 41, 201)
    ```
    """
    try:
        tf = importlib.import_module("tensorflow")
    except ImportError as error:
        raise ImportError(
            "A tf.data.Dataset needs TensorFlow: pip install tensorflow-cpu. Without "
            "it, DigitBatches gives the same arrays to fit and predict."
        ) from error
    audio = _tensorflow_io_audio() if "sound" in batches.modalities else None
    prepared = audio is None
    shapes = batches.preprocessor.shapes
    if not prepared:
        shapes["sound"] = (batches.preprocessor.samples,)

    def generate():
        for index in range(len(batches)):
            x, labels = batches[index] if prepared else batches.signals(index)[:2]
            yield x, labels

    signature = (
        {
            name: tf.TensorSpec((None, *shapes[name]), "float32")
            for name in batches.modalities
        },
        tf.TensorSpec((None,), "int64"),
    )
    dataset = tf.data.Dataset.from_generator(generate, output_signature=signature)
    if not prepared:

        def describe(x, labels):
            return {**x, "sound": _describe(tf, audio, batches, x["sound"])}, labels

        dataset = dataset.map(describe, num_parallel_calls=tf.data.AUTOTUNE)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(len(batches)))
    return dataset.prefetch(tf.data.AUTOTUNE)


def _describe(tf, audio, batches, waves):
    """What `DigitPreprocessor.describe` computes, and masks."""
    settings = batches.preprocessor
    steps, bins = settings.shapes["sound"]
    features = audio.spectrogram(
        waves, nfft=settings.window, window=settings.window, stride=settings.hop
    )
    # It pads the end: the last steps are of nothing but a part of a window.
    features = features[:, :steps]
    if settings.mel_bands is not None:
        lowest, highest = settings.mel_range
        features = audio.melscale(
            features, settings.rate, settings.mel_bands, lowest, highest
        )
    if settings.compress:
        features = tf.math.log1p(features)

    def mask(sound):
        if batches.mask_frequencies:
            sound = audio.freq_mask(sound, param=min(batches.mask_frequencies, bins))
        if batches.mask_times:
            sound = audio.time_mask(sound, param=min(batches.mask_times, steps))
        return sound

    if batches.mask_frequencies or batches.mask_times:
        features = tf.map_fn(mask, features)
    return tf.ensure_shape(features, (None, steps, bins))


def _tensorflow_io_audio():
    """Its audio functions; None, with a warning, where they cannot be had."""
    try:
        return importlib.import_module("tensorflow_io").audio
    except Exception as error:  # whatever goes wrong while it loads its libraries
        reason = str(error).strip().split("\n")[0][:80]
        warnings.warn(
            f"tensorflow-io cannot be loaded ({reason}): spectrograms are computed in "
            "numpy, with the same numbers. To use it: pip install tensorflow-io.",
            stacklevel=3,
        )
        return None
