"""The picture on the card of a retriever."""

import numpy as np

from keras_mmfusion.analysis import contact_sheet

ROWS, FOUND = 6, 6


def found(model, part):
    """What is found for captions, by rule: at equal distances in the list of images.

    Args:
        model: `FusionRetriever`.
        part: `data.Part`; its images are the gallery.

    Returns:
        `[(caption, rank of its image)]`, and a matplotlib `Figure` with a row for each:
        the image that is meant, then those that are found first.
    """
    chosen = np.linspace(0, len(part.images) - 1, ROWS).round().astype(int)
    captions = part.first_captions[chosen]
    index = model.index_images(part.images)
    answers = model.search(part.texts[captions], index, k=len(part.images))
    ranks = [
        int(np.flatnonzero(of.items == image)[0]) + 1
        for of, image in zip(answers, chosen, strict=True)
    ]
    rows = [
        (
            part.images[image],
            [
                (part.images[item], f"{value:.2f}")
                for item, value in zip(
                    of.items[:FOUND], of.similarities[:FOUND], strict=True
                )
            ],
        )
        for image, of in zip(chosen, answers, strict=True)
    ]
    words = [part.captions[caption] for caption in captions]
    return list(zip(words, ranks, strict=True)), contact_sheet(rows)
