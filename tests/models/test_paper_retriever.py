import keras
import pytest
from backends import once

from keras_mmfusion.models import paper_retriever


@once
@pytest.mark.parametrize(
    ("encoders", "size", "tokens"), [("cnn_lstm", 14, 64), ("transformer_vit", 14, 64)]
)
def test_of_the_papers_sizes(encoders, size, tokens):
    with keras.device("meta"):
        model = paper_retriever(encoders, "atd")
        assert model.count_params() // 10**6 == {"cnn_lstm": 70}.get(encoders, 282)
        part = keras.Model(
            model.input,
            [model.get_layer(f"{n}_features").output for n in model.modalities],
        )
    image, text = part.output_shape
    assert image[1:2] == (size**2,) and text[1:2] == (tokens,)
    assert model._fusion().num_heads == 16


def test_other_encoders():
    with pytest.raises(ValueError, match=r"must be one of \['transformer_vit'"):
        paper_retriever("resnet")
