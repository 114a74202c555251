import numpy as np
import pytest
from backends import once

from keras_mmfusion.metrics import retrieval_metrics, retrieval_ranks

pytestmark = once


def slow_ranks(scores, caption_image):
    """Both ways, by sorting lists; among equals, the right one comes last."""
    text_ranks, image_ranks = [], []
    captions = range(len(caption_image))
    for image, row in enumerate(scores):
        right = [c for c in captions if caption_image[c] == image]
        order = sorted(captions, key=lambda c: (-row[c], c in right))
        if right:
            wrong = 0
            for c in order:
                if c in right:
                    break
                wrong += 1
            text_ranks.append(1 + wrong)
    for c in captions:
        images = range(len(scores))
        own = caption_image[c]
        order = sorted(images, key=lambda i: (-scores[i, c], i == own))
        image_ranks.append(1 + order.index(own))
    return text_ranks, image_ranks


@pytest.mark.parametrize("seed", range(5))
def test_as_by_sorting(seed):
    rng = np.random.default_rng(seed)
    # Few values, so that many are equal; some images have no caption.
    scores = rng.integers(0, 6, (9, 14)).astype("float64")
    caption_image = rng.integers(0, 9, 14)
    text_ranks, image_ranks = slow_ranks(scores, caption_image)
    found = retrieval_metrics(scores, caption_image, at=(1, 3))
    for k in (1, 3):
        assert found.text_recall[k] == np.mean([r <= k for r in text_ranks])
        assert found.image_recall[k] == np.mean([r <= k for r in image_ranks])
    assert found.text_median_rank == np.median(text_ranks)
    assert found.image_median_rank == np.median(image_ranks)
    assert (found.images, found.captions) == (len(text_ranks), 14)


def test_a_model_that_says_the_same_of_all_finds_nothing():
    found = retrieval_metrics(np.zeros((20, 20)), np.arange(20))
    assert found.text_recall == found.image_recall == {1: 0.0, 5: 0.0, 10: 0.0}


def test_several_captions_of_an_image_are_no_rivals():
    scores = np.array([[0.9, 0.9, 0.1], [0.0, 0.0, 1.0]])
    found = retrieval_metrics(scores, [0, 0, 1], at=(1,))
    assert found.text_recall[1] == found.image_recall[1] == 1.0


def test_scores_of_their_own_for_images():
    right, wrong = np.eye(3), 1 - np.eye(3)
    found = retrieval_metrics(right, np.arange(3), image_scores=wrong, at=(1,))
    assert (found.text_recall[1], found.image_recall[1]) == (1.0, 0.0)


def test_ranks():
    assert retrieval_ranks([[3, 2, 1]], [[False, True, True]]).tolist() == [2]
    assert retrieval_ranks([[-np.inf] * 3], [[True, False, False]]).tolist() == [3]


@pytest.mark.parametrize(
    ("scores", "caption_image", "message"),
    [
        (np.zeros((2, 3)), [0, 1], "`caption_image`"),
        (np.zeros((0, 0)), [], "`scores` must be"),
        (np.zeros((2, 3)), [0, 1, 2], "rows of `scores`"),
        (np.zeros((2, 3)), [0, 1, -1], "without an image"),
        (np.zeros((2, 3)), [0.0, 1.0, 1.0], "of type float64"),
        (np.full((2, 3), np.nan), [0, 1, 1], "6 NaN"),
    ],
)
def test_wrong_input(scores, caption_image, message):
    with pytest.raises(ValueError, match=message):
        retrieval_metrics(scores, caption_image)
