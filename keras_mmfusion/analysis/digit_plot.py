"""What a network says of a digit while it hears it."""

import numpy as np

from keras_mmfusion.analysis._figure_class import figure_class


def class_values(model, inputs):
    """Outputs of a model after each step of the sound.

    What is not heard yet is missing, and missing steps are skipped, so these are the
    outputs that the model would give if the sound ended there.

    Args:
        model: `FusionClassifier` of `"image"` and `"sound"`.
        inputs: dict of arrays, a batch of one, as from `DigitPreprocessor`.

    Returns:
        Array `(steps, classes)`.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion import presets
    from keras_mmfusion.analysis import class_values

    model = presets.load("convlstm_digits_initial")
    image, sound = np.eye(28), np.sin(np.arange(4000))
    inputs = model.preprocessor(image, sound)
    assert class_values(model, inputs).shape == (inputs["sound"].shape[1], 10)
    ```

    Reference:
        Barnum et al., arXiv:2011.07191, section 4.6 and Fig. 7.
    """
    steps = inputs["sound"].shape[1]
    batch = {name: np.repeat(x, steps, axis=0) for name, x in inputs.items()}
    later = np.arange(steps)[None, :] > np.arange(steps)[:, None]
    batch["sound"][later] = np.nan
    return np.asarray(model.predict(batch, verbose=0))


def plot_digits(model, examples):
    """Draw digits as a model sees and hears them, and what it says meanwhile.

    Args:
        model: `FusionClassifier` of `"image"` and `"sound"`.
        examples: dict, a title to `(inputs, digit)`: inputs as for `class_values`,
            and the digit to highlight, or None for the one the model settles on.

    Returns:
        matplotlib `Figure`, a column an example. A modality that is missing is left
        blank.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion import presets
    from keras_mmfusion.analysis import plot_digits

    model = presets.load("convlstm_digits_initial")
    inputs = model.preprocessor(np.eye(28), np.sin(np.arange(4000)))
    figure = plot_digits(model, {"a line and a tone": (inputs, None)})
    figure.savefig("digit.png")
    ```
    """
    columns = len(examples)
    figure = figure_class("digits")(
        figsize=(1.2 + 3.0 * columns, 6.6), dpi=110, layout="constrained"
    )
    axes = figure.subplots(3, columns, squeeze=False, height_ratios=(1, 1, 1.6))
    for column, (title, (inputs, digit)) in enumerate(examples.items()):
        picture, spectrum, values = axes[:, column]
        # Names of files may hold dollar signs, which begin a formula otherwise.
        picture.set_title(title, fontsize=10, parse_math=False)
        _show(picture, inputs["image"][0, 0, :, :, 0], cmap="gray")
        sound = inputs["sound"][0].T
        _show(spectrum, sound, cmap="magma", origin="lower", aspect="auto")
        _draw_values(values, class_values(model, inputs), digit)
        values.set_xlim(-0.5, sound.shape[1] - 0.5)
        values.set_xlabel("steps of the sound")
    axes[1, 0].set_ylabel("frequency")
    axes[2, 0].set_ylabel("probability")
    axes[2, -1].legend(
        fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False
    )
    return figure


def _show(axes, values, **kwargs):
    axes.set_xticks([])
    axes.set_yticks([])
    if np.isnan(values).all():
        axes.text(0.5, 0.5, "missing", ha="center", transform=axes.transAxes)
    else:
        axes.imshow(values, **kwargs)


def _draw_values(axes, values, digit):
    digit = values[-1].argmax() if digit is None else digit
    for number, line in enumerate(values.T):
        chosen = number == digit
        axes.plot(
            line,
            color=f"C{number}",
            linewidth=2.6 if chosen else 1.0,
            zorder=3 if chosen else 2,
            label=str(number),
        )
    axes.set_ylim(-0.02, 1.02)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
