"""The packages of the extra `tuner`, imported where they are used."""


def import_keras_tuner():
    """The module `keras_tuner`, or an error that names the extra."""
    try:
        import keras_tuner
    except ImportError as error:
        raise ImportError(
            "A search needs the package keras-tuner: "
            'pip install "keras_mmfusion[tuner]"'
        ) from error
    return keras_tuner


def import_model_selection():
    """The module `sklearn.model_selection`, or an error that names the extra."""
    try:
        from sklearn import model_selection
    except ImportError as error:
        raise ImportError(
            "Folds that keep groups whole need the package scikit-learn: "
            'pip install "keras_mmfusion[tuner]"'
        ) from error
    return model_selection
