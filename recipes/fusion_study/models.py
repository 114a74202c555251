"""The models: for each dataset the same encoders, and any fusion of the suite.

Every encoder gives `WIDTH` features, and every fusion has its defaults but for this
width and the number of heads.
"""

import inspect

import keras
from keras import layers

from keras_mmfusion.layers import (
    ATDEncoder,
    GramianAngularField,
    PeriodFold,
    PerStepEncoder,
    ResNet1DEncoder,
    ResNet2DEncoder,
)
from keras_mmfusion.models import (
    FUSIONS,
    FusionClassifier,
    FusionForecaster,
    FusionRetriever,
)

# Three modalities make 25³ products in tensor fusion, just below its limit.
WIDTH, HEADS = 24, 4
DAY = 24
# Candidates that a retriever looks at again.
RERANK = 20


def build(task, name, seed):
    """A fusion, or a single modality by its name, for a `data.Task`."""
    names = list(task.shapes) if name in FUSIONS else [name]
    options = {
        "fusion": name if name in FUSIONS else "concat",
        "fusion_options": options_of(name) if name in FUSIONS else None,
        "dim": WIDTH,
        "name": task.name,
    }
    return MAKERS[task.kind](task, names, options, seed)


def options_of(fusion):
    """The number of heads, for fusions that have some."""
    takes = inspect.signature(FUSIONS[fusion]).parameters
    return {"num_heads": HEADS} if "num_heads" in takes else {}


def labeller(task, names, options, seed):
    """Labels every beat. All fusions are followed by the same short convolutions.

    Else those that attend to other beats would have seen more than the others.
    """
    makers = {"ecg": waveform, "image": field, "rhythm": rhythm}
    return FusionClassifier(
        {name: task.shapes[name] for name in names},
        {name: makers[name]() for name in names},
        num_classes=task.outputs,
        pooling=None,
        decoder=ResNet1DEncoder(
            (WIDTH, WIDTH),
            kernel_size=3,
            dilations=(1, 2),
            normalization=None,
            name="decoder",
        ),
        **options,
    )


def classifier(task, names, options, seed):
    makers = {"image": digit_image, "sound": digit_sound}
    return FusionClassifier(
        {name: task.shapes[name] for name in names},
        {name: makers[name]() for name in names},
        num_classes=task.outputs,
        **options,
    )


def forecaster(task, names, options, seed):
    """Without a linear skip: what is forecast beyond the last value is the fusion's."""
    # The first input is the series, which may be for its last value alone.
    shapes = {n: s for n, s in task.shapes.items() if n in ("series", *names)}
    makers = {"series": days, "image": day_picture, "calendar": days}
    return FusionForecaster(
        shapes,
        {name: makers[name](name) for name in names},
        task.outputs,
        skip=None,
        **options,
    )


def retriever(task, names, options, seed):
    return FusionRetriever(
        task.shapes,
        {"image": picture(), "text": words(task.outputs)},
        embedding_dim=2 * WIDTH,
        rerank=RERANK,
        seed=seed,
        **options,
    )


def waveform():
    resnet = ResNet1DEncoder(
        (8, 12, 16), 7, strides=(4, 2, 2), normalization=None, name="resnet"
    )
    return narrowed("ecg", PerStepEncoder(resnet, pooling=None, name="beats"))


def field():
    """A Gramian angular field of each beat, 16 x 16."""
    drawn = keras.Sequential(
        [
            GramianAngularField(image_size=16, name="field"),
            ResNet2DEncoder((6, 12), normalization=None, name="resnet"),
        ],
        name="picture",
    )
    return narrowed("image", PerStepEncoder(drawn, pooling="meanmax", name="beats"))


def narrowed(name, encoder):
    return keras.Sequential(
        [encoder, layers.Dense(WIDTH, name="dense")], name=f"{name}_encoder"
    )


def rhythm():
    return layers.Dense(WIDTH, activation="relu", name="rhythm_encoder")


def digit_image():
    """A token for each of 4 x 4 parts."""
    return keras.Sequential(
        [
            layers.Reshape((28, 28, 1), name="only_step"),
            ResNet2DEncoder((8, 16, WIDTH), normalization=None, name="resnet"),
        ],
        name="image_encoder",
    )


def digit_sound():
    return ResNet1DEncoder(
        (16, WIDTH), 5, strides=(1, 2), normalization=None, name="sound_encoder"
    )


def days(name):
    """A token for each day."""
    return ATDEncoder(WIDTH, 1, HEADS, patch=DAY, name=f"{name}_encoder")


def day_picture(name):
    """Days x hours, and tokens of a week by six hours."""
    return keras.Sequential(
        [
            PeriodFold(DAY, name="fold"),
            ATDEncoder(WIDTH, 1, HEADS, patch=(7, 6), name="parts"),
        ],
        name=f"{name}_encoder",
    )


def picture():
    return keras.Sequential(
        [
            layers.Rescaling(1 / 127.5, -1, name="pixels"),
            ResNet2DEncoder((12, 24, WIDTH), normalization="batch", name="resnet"),
        ],
        name="image_encoder",
    )


def words(vocabulary_size):
    return layers.Embedding(vocabulary_size, WIDTH, mask_zero=True, name="text_encoder")


MAKERS = {
    "beats": labeller,
    "classes": classifier,
    "forecast": forecaster,
    "retrieval": retriever,
}
# Of what is given as rows of one-hot labels, as digits, as numbers, and as pairs.
LOSSES = {
    "beats": "categorical_crossentropy",
    "classes": "sparse_categorical_crossentropy",
    "forecast": "mse",
    "retrieval": None,
}


class Predictor:
    """A model that is given all modalities, and takes its own."""

    def __init__(self, model):
        self.model, self.input = model, model.input

    def predict(self, x, batch_size=64, verbose=0):
        own = {name: x[name] for name in self.input}
        return self.model.predict(own, batch_size=batch_size, verbose=verbose)


class Searcher(Predictor):
    """A retriever as what predicts: scores of all pictures and words."""

    def predict(self, x, batch_size=64, verbose=0):
        """With the second look of the fusion, and by the towers alone."""
        images = self.model.index_images(x["image"], batch_size=batch_size)
        texts = self.model.index_texts(x["text"], batch_size=batch_size)
        return {
            "looked": self.model.retrieval_scores(images, texts),
            "towers": self.model.retrieval_scores(images, texts, 0),
        }


def predictor(task, model):
    """What has `predict` and `input`."""
    return (Searcher if task.kind == "retrieval" else Predictor)(model)
