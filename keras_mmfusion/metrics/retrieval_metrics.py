"""Recall of image-text retrieval over a whole gallery."""

import numbers
from dataclasses import dataclass

import numpy as np

RANKS = (1, 5, 10)


@dataclass(frozen=True)
class RetrievalMetrics:
    """What `retrieval_metrics` returns.

    Attributes:
        text_recall: dict, K to the share of images with one of their captions among
            the first K of all captions (TR, image-to-text).
        image_recall: dict, K to the share of captions with their image among the
            first K of all images (IR, text-to-image).
        text_median_rank: float. Median rank of the best caption of an image, from 1.
        image_median_rank: float. Median rank of the image of a caption, from 1.
        images: int. Images that were asked for captions.
        captions: int.
    """

    text_recall: dict
    image_recall: dict
    text_median_rank: float
    image_median_rank: float
    images: int
    captions: int


def retrieval_metrics(scores, caption_image, image_scores=None, at=RANKS):
    """Recall at K both ways, over all images and captions.

    Ties count against the model: whatever scores as high as the right one comes before
    it. An image without a caption is in the gallery, and is not asked for captions.

    Args:
        scores: float array `(images, captions)`, higher for what fits.
        caption_image: int array `(captions,)`: the row of the image of each caption.
        image_scores: float array `(images, captions)`, by which images are ranked for
            a caption, where that is done by other scores, as after re-ranking.
            Defaults to `None`: `scores`.
        at: Sequence of int. Defaults to `(1, 5, 10)`.

    Returns:
        `RetrievalMetrics`.

    Raises:
        ValueError: Shapes do not fit, a caption has no image, a score is NaN, or a K is
            no positive integer.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.metrics import retrieval_metrics

    scores = np.array([[0.9, 0.2, 0.1], [0.8, 0.3, 0.7]])
    found = retrieval_metrics(scores, caption_image=[0, 0, 1], at=(1,))
    found.text_recall[1]  # 0.5: for image 1, caption 0 comes first
    found.image_recall[1]  # 2 of 3: caption 1 finds image 1
    ```

    Reference:
        Qin, "Zoom and Shift is All You Need", section 4.1 and Tables 1 and 2; the
        protocol is that of Karpathy and Fei-Fei, arXiv:1412.2306.
    """
    scores = np.asarray(scores)
    image_scores = scores if image_scores is None else np.asarray(image_scores)
    caption_image = np.asarray(caption_image)
    _check(scores, caption_image)
    _check(image_scores, caption_image)
    if image_scores.shape != scores.shape:
        raise ValueError(
            f"`image_scores` must have the shape of `scores`, {scores.shape}. "
            f"Received: {image_scores.shape}."
        )
    at = tuple(at) if np.iterable(at) else (at,)
    for k in at:
        if isinstance(k, bool) or not isinstance(k, numbers.Integral) or k < 1:
            raise ValueError(
                "`at` must hold whole numbers of at least 1, such as (1, 5, 10). "
                f"Received: at={at}"
            )
    relevant = np.arange(len(scores))[:, None] == caption_image
    asked = relevant.any(axis=1)
    text_ranks = retrieval_ranks(scores[asked], relevant[asked])
    image_ranks = retrieval_ranks(image_scores.T, relevant.T)
    return RetrievalMetrics(
        text_recall={k: float(np.mean(text_ranks <= k)) for k in at},
        image_recall={k: float(np.mean(image_ranks <= k)) for k in at},
        text_median_rank=float(np.median(text_ranks)),
        image_median_rank=float(np.median(image_ranks)),
        images=len(text_ranks),
        captions=len(image_ranks),
    )


def retrieval_ranks(scores, relevant):
    """Rank of the best right answer to each query, from 1; ties count against it.

    Args:
        scores: float array `(queries, gallery)`, higher for what fits.
        relevant: bool array `(queries, gallery)`; something in each row.

    Returns:
        int array `(queries,)`.

    Raises:
        ValueError: Shapes differ, a score is NaN, or a query has no right answer.

    Example:

    ```python
    from keras_mmfusion.metrics import retrieval_ranks

    retrieval_ranks([[0.5, 0.5, 0.1]], [[True, False, False]])  # [2], for the tie
    ```
    """
    scores, relevant = np.asarray(scores), np.asarray(relevant)
    if scores.ndim != 2 or relevant.shape != scores.shape or relevant.dtype != bool:
        raise ValueError(
            "`scores` must be (queries, gallery), and `relevant` a bool array of that "
            f"shape. Received: shape {scores.shape}, and {relevant.shape} of "
            f"{relevant.dtype}."
        )
    _check_numbers(scores)
    if not relevant.any(axis=1).all():
        raise ValueError(
            "`relevant` must have something in each row. Received: nothing in "
            f"{np.sum(~relevant.any(axis=1))} of {len(relevant)}. Leave such queries "
            "out."
        )
    best = np.where(relevant, scores, -np.inf).max(axis=1, keepdims=True)
    before = (scores >= best) & ~relevant
    return 1 + before.sum(axis=1)


def _check(scores, caption_image):
    if scores.ndim != 2 or caption_image.shape != scores.shape[1:] or not scores.size:
        raise ValueError(
            "`scores` must be (images, captions) and `caption_image` (captions,). "
            f"Received: shapes {scores.shape} and {caption_image.shape}."
        )
    whole = np.issubdtype(caption_image.dtype, np.integer)
    if not whole or not np.isin(caption_image, np.arange(len(scores))).all():
        raise ValueError(
            "`caption_image` must hold rows of `scores`, integers from 0 to "
            f"{len(scores) - 1}. Received: {np.unique(caption_image)[:5].tolist()} … "
            f"of type {caption_image.dtype}. Leave out captions without an image."
        )
    _check_numbers(scores)


def _check_numbers(scores):
    if scores.dtype.kind not in "iufb":
        raise ValueError(
            f"Scores must be numbers. Received: an array of {scores.dtype}."
        )
    if np.isnan(scores).any():
        raise ValueError(
            f"Scores must be numbers. Received: {np.isnan(scores).sum()} NaN."
        )
