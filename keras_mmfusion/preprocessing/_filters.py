"""Filters over recordings of any length, of which only a piece is in float64.

They give what those of scipy give of the whole recording, bit for bit.
"""

import numpy as np

from keras_mmfusion import _pieces
from keras_mmfusion._pieces import pieces


def resample(signal, up, down, pad):
    """`resample_poly` of one signal, beyond whose ends `np.pad` says what there is."""
    from scipy.signal import resample_poly

    # The filter of the resampler is ten samples of the lower rate long to each side.
    margin = 11 * down
    dtype = np.result_type(signal, "float32" if signal.dtype.kind == "f" else "float64")
    out = np.empty(-(-len(signal) * up // down), dtype)
    for piece in pieces(-(-len(signal) // down), _pieces.PIECE // down):
        first, last = piece.start * down, min(piece.stop * down, len(signal))
        before, after = max(first - margin, 0), min(last + margin, len(signal))
        part = np.pad(
            signal[before:after],
            (margin - (first - before), margin - (after - last)),
            pad,
        )
        part = resample_poly(part, up, down)[11 * up :]
        part = part[: -(-(last - first) * up // down)]
        out[piece.start * up : piece.start * up + len(part)] = part
    return out


def forward(sos, signal, out):
    """`sosfilt` of one signal, as if it had been at its first value forever."""
    from scipy.signal import sosfilt, sosfilt_zi

    state = sosfilt_zi(sos) * signal[0]
    for piece in pieces(len(signal)):
        out[piece], state = sosfilt(sos, signal[piece], zi=state)
    return out


def both_ways(sos, signal, pad, out):
    """`sosfiltfilt` of one signal into `out`, which may be the signal itself."""
    from scipy.signal import sosfilt, sosfilt_zi

    pad = min(len(signal) - 1, pad)
    head = 2 * signal[:1] - signal[pad:0:-1]
    tail = 2 * signal[-1:] - signal[-2 : -pad - 2 : -1]
    usual = sosfilt_zi(sos)
    state = usual * (head if pad else signal)[0]
    if pad:
        _, state = sosfilt(sos, head, zi=state)
    states = []
    for piece in pieces(len(signal)):
        states.append((piece, state))
        ahead, state = sosfilt(sos, signal[piece], zi=state)
    if pad:
        tail, _ = sosfilt(sos, tail, zi=state)
    state = usual * (tail if pad else ahead)[-1]
    if pad:
        _, state = sosfilt(sos, tail[::-1], zi=state)
    # Back from the end. What comes forward is filtered anew, rather than kept.
    for piece, start in reversed(states):
        if piece.stop < len(signal):
            ahead, _ = sosfilt(sos, signal[piece], zi=start)
        backward, state = sosfilt(sos, ahead[::-1], zi=state)
        out[piece] = backward[::-1]
    return out
