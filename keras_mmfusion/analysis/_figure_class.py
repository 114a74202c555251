"""matplotlib, asked for when the first picture is drawn."""


def figure_class():
    """The class of figures.

    Raises:
        ImportError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "Drawing needs the package matplotlib: pip install 'keras_mmfusion[plots]'"
        ) from error
    return Figure
