"""Long arrays, a piece at a time."""

# Of samples: 49 minutes at 360 Hz.
PIECE = 1 << 20
BLOCK = 4096  # Of beats.


def pieces(length, size=None):
    """Slices of at most `size`, by default `PIECE`, one after the other."""
    size = size or PIECE
    return [slice(i, min(i + size, length)) for i in range(0, length, size)]
