"""Frames and vectors over time: their shapes, and which steps hold any data."""

from keras import ops


def pair_of(inputs):
    """Frames and vectors, either of them None."""
    inputs = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
    return inputs if len(inputs) == 2 else [*inputs, None]


def shapes_of(inputs):
    return [None if x is None else tuple(x.shape) for x in pair_of(inputs)]


def is_static(x, rank):
    return len(x.shape) < rank or x.shape[1] == 1


def one_step(shape, rank):
    """The shape of one step of a sequence, or of what is static."""
    if shape is None or len(shape) == rank:
        return shape
    return (shape[0], *shape[2:])


def check_shapes(shapes):
    """The shapes of frames and vectors, either of them None."""
    if not any(isinstance(shape, (list, tuple)) for shape in shapes):
        shapes = [shapes, None]  # of frames alone
    if len(shapes) == 1:
        shapes = [shapes[0], None]
    if len(shapes) != 2:
        raise ValueError(
            "ConvLSTMFusion expects a pair [frames, vectors], of which one may be "
            f"None, or frames alone. Received: shapes {shapes}"
        )
    frames, vectors = (None if s is None else tuple(s) for s in shapes)
    if frames is not None and (len(frames) not in (4, 5) or None in frames[-3:]):
        raise ValueError(
            "ConvLSTMFusion expects frames as (batch, time, height, width, "
            "channels), or a static image as (batch, height, width, channels), "
            "with known height, width and channels. "
            f"Received: shape {frames}"
        )
    if vectors is not None and (len(vectors) not in (2, 3) or vectors[-1] is None):
        raise ValueError(
            "ConvLSTMFusion expects vectors as (batch, time, features), or a "
            "static one as (batch, features), with a known number of features. "
            f"Received: shape {vectors}"
        )
    batch_of(frames, vectors)
    steps_of(frames, vectors)
    return frames, vectors


def batch_of(frames, vectors):
    """Size of the batch, None while unknown."""
    sizes = {shape[0] for shape in (frames, vectors) if shape is not None} - {None}
    if len(sizes) > 1:
        raise ValueError(
            "ConvLSTMFusion expects as many frames as vectors in a batch. Received: "
            f"shapes {frames} and {vectors}. Repeat what is the same for all."
        )
    return sizes.pop() if sizes else None


def agree(shape, expected):
    """Whether two shapes are the same as far as both are known."""
    return len(shape) == len(expected) and all(
        a == b or None in (a, b) for a, b in zip(shape, expected, strict=True)
    )


def check_states(states, expected, of="ConvLSTMFusion expects `initial_state`"):
    """Raise if these are not two states of this shape."""
    pair = isinstance(states, (list, tuple)) and len(states) == 2
    if not pair or not all(agree(s.shape, expected) for s in states):
        shapes = [tuple(s.shape) for s in states] if pair else type(states).__name__
        raise ValueError(
            f"{of} as a pair [h, c], both of shape (batch, height', width', filters): "
            f"here {expected}. Received: {shapes}"
        )


def steps_of(frames, vectors):
    """Steps of the output, None while unknown."""
    steps = [
        shape[1]
        for shape, rank in ((frames, 5), (vectors, 3))
        if shape is not None and len(shape) == rank
    ]
    if not steps:
        raise ValueError(
            "ConvLSTMFusion expects frames or vectors that change over time. "
            f"Received: shapes {frames} and {vectors}. Give the vectors, or the "
            "frames, a time axis; for one step there is ConvLSTMFusionCell."
        )
    changing = {n for n in steps if n not in (1, None)}
    if len(changing) > 1:
        raise ValueError(
            "ConvLSTMFusion expects frames and vectors with the same number of "
            f"steps, or one of them static. Received: shapes {frames} and "
            f"{vectors}. Resample one of them."
        )
    if changing:
        return changing.pop()
    return None if None in steps else 1


def check_masks(inputs, mask):
    """The masks of frames and vectors, None where everything counts."""
    if mask is None:
        return [None, None]
    masks = pair_of(mask)
    if len(masks) != 2:
        raise ValueError(
            "ConvLSTMFusion expects a pair of masks, of frames and of vectors, either "
            f"of which may be None. Received: {len(mask)} of them."
        )
    for i, (x, m, rank) in enumerate(zip(inputs, masks, (5, 3), strict=True)):
        if x is None or m is None:
            masks[i] = None
            continue
        masks[i] = ops.cast(m, "bool")
        expected = (x.shape[0], x.shape[1] if len(x.shape) == rank else 1)
        if not agree(m.shape, expected):
            raise ValueError(
                "ConvLSTMFusion expects masks of shape (batch, time), or (batch, 1) "
                f"for what is static: here {expected}. Received: {tuple(m.shape)}"
            )
    return masks


def steps_with_data(inputs, masks):
    """The mask `(batch, time)` of steps that count; None if all do."""
    changing, static = [], []
    for x, mask, rank in zip(inputs, masks, (5, 3), strict=True):
        if x is not None:
            (static if is_static(x, rank) else changing).append(mask)
    if not changing:  # sequences of one step
        changing, static = static, []
    if any(mask is None for mask in changing):
        return None
    steps = changing[0]
    for mask in changing[1:]:
        steps = ops.logical_or(steps, mask)
    if not static:
        return steps
    missing = ops.logical_not(ops.any(steps, axis=1, keepdims=True))
    if static[0] is not None:
        missing = ops.logical_and(missing, static[0])
    return ops.logical_or(steps, missing)
