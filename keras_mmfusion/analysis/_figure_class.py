"""matplotlib, asked for when the first picture is drawn."""


def figure_class(extra="plots"):
    """The class of figures.

    Args:
        extra: str. The extra that brings all that the caller needs.
            Defaults to `"plots"`.

    Raises:
        ImportError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "Drawing needs the package matplotlib: "
            f"pip install 'keras_mmfusion[{extra}]'"
        ) from error
    return Figure
