"""Long arrays, a piece at a time."""

# Of samples, of all leads together: 24 minutes of two at 360 Hz.
PIECE = 1 << 20
BLOCK = 4096  # Of beats.


def pieces(length, size=None, width=1):
    """Slices of at most `size`, one after the other; by default `PIECE // width`."""
    size = size or max(PIECE // width, 1)
    return [slice(i, min(i + size, length)) for i in range(0, length, size)]
