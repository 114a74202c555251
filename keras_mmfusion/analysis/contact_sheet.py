"""What was found for each query, on one sheet."""

import textwrap

import numpy as np

from keras_mmfusion.analysis._figure_class import figure_class

CELL = 1.35  # inches
LETTERS = 15  # in a line of a cell
# Of these, those that are there: matplotlib's own font has no Chinese.
FONTS = (
    "DejaVu Sans",
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "WenQuanYi Micro Hei",
    "PingFang SC",
    "Microsoft YaHei",
    "SimHei",
)


def contact_sheet(rows, title=None):
    """Draw queries and what was found for them, a row each.

    Args:
        rows: Sequence of `(query, found)`: a query is a str or an image, an array
            `(height, width, 3)`; `found` is a sequence of `(item, label)`, an item
            again a str or an image, best first.
        title: str, above all. Defaults to `None`.

    Returns:
        matplotlib `Figure` that belongs to no window; call `savefig`.

    Raises:
        ValueError: There is no row, one is of another form, or what is no image.
        ImportError: matplotlib is not installed.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.analysis import contact_sheet

    red, blue = (np.full((8, 8, 3), c, "uint8") for c in ([255, 0, 0], [0, 0, 255]))
    figure = contact_sheet([("a red square", [(red, "0.93"), (blue, "0.41")])])
    figure.savefig("found.png")
    ```
    """
    try:
        rows = [
            (query, [(item, label) for item, label in found]) for query, found in rows
        ]
    except (TypeError, ValueError) as error:
        raise ValueError(
            "`rows` must be a list of (query, found), and `found` one of (item, "
            f"label). Received: {rows!r:.60} ({error})."
        ) from None
    if not rows:
        raise ValueError("`rows` must hold at least one query. Received: none.")
    make_figure = figure_class()
    columns = 1 + max(len(found) for _, found in rows)
    size = (CELL * columns + 0.2, (CELL + 0.3) * len(rows) + (0.3 if title else 0.0))
    figure = make_figure(figsize=size, dpi=120, layout="constrained")
    grid = figure.subplots(len(rows), columns, squeeze=False)
    fonts = _installed(FONTS)
    for axes, (query, found) in zip(grid, rows, strict=True):
        for cell in axes:
            cell.set_axis_off()
        _draw(axes[0], query, "", fonts, bold=True)
        for rank, (cell, (item, label)) in enumerate(
            zip(axes[1:], found, strict=False), start=1
        ):
            _draw(cell, item, f"{rank}.  {label}", fonts)
    if title:
        figure.suptitle(title, fontsize=9, fontfamily=fonts)
    return figure


def _draw(axes, item, label, fonts, bold=False):
    axes.set_title(label, fontsize=7, color="#555555", fontfamily=fonts, pad=3)
    if not isinstance(item, str):
        axes.imshow(_checked_image(item), interpolation="nearest", cmap="gray")
        return
    lines = textwrap.wrap(item, LETTERS)
    if len(lines) > 6:
        lines = [*lines[:5], f"{lines[5][: LETTERS - 1]}…"]
    axes.text(
        0.5,
        0.5,
        "\n".join(lines),
        ha="center",
        va="center",
        fontsize=8,
        fontfamily=fonts,
        fontweight="bold" if bold else "normal",
        transform=axes.transAxes,
        parse_math=False,  # dollars are dollars
    )


def _checked_image(item):
    image = np.asarray(item)
    colours = image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (3, 4))
    if not colours or not image.size or image.dtype.kind not in "biuf":
        raise ValueError(
            "A query or an item must be a str, or an image (height, width, 3). "
            f"Received: {type(item).__name__}, as an array of {image.dtype} of shape "
            f"{image.shape}."
        )
    top = 1 if image.dtype.kind in "bf" else 255
    if not ((image >= 0) & (image <= top)).all():
        raise ValueError(
            f"An image of {image.dtype} must hold values from 0 to {top}. Received: "
            f"{image.min():g} to {image.max():g}. image.astype('uint8') makes colours "
            "of floats up to 255."
        )
    return image.astype("uint8") if top == 255 else image


def _installed(names):
    from matplotlib.font_manager import fontManager

    there = set(fontManager.get_font_names())
    return [name for name in names if name in there] or None
