"""Checks of arguments that layers, models and preprocessing share."""

import math
import numbers

import numpy as np


def is_whole(value):
    """Whether it is an int, or one of numpy, and no bool."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def check_positive_int(**values):
    """Raise unless every value is an int of at least 1, such as one of numpy."""
    for name, value in values.items():
        if not is_whole(value) or value < 1:
            raise ValueError(
                f"`{name}` must be a positive integer. Received: {name}={value!r}"
            )


def check_positive_number(**values):
    """Raise unless every value is a finite number above 0."""
    for name, value in values.items():
        try:
            positive = 0 < value < math.inf
        except TypeError:
            positive = False
        if not positive:
            raise ValueError(
                f"`{name}` must be a positive number. Received: {name}={value!r}"
            )


def check_tolerance(tolerance):
    """Raise unless it is a number of at least 0, such as infinity, which allows all."""
    # Nothing is larger than NaN: everything would pass.
    number = isinstance(tolerance, numbers.Real) and not isinstance(tolerance, bool)
    if not number or not tolerance >= 0:
        raise ValueError(
            "`tolerance` must be a number of at least 0. "
            f"Received: tolerance={tolerance!r}"
        )


def check_snr(snr):
    """Raise unless it is a ratio of powers above 0, or None."""
    number = isinstance(snr, numbers.Real) and not isinstance(snr, bool)
    if snr is not None and not (number and snr > 0):
        raise ValueError(
            "`snr` must be a positive ratio of powers, or None for no noise. "
            f"Received: snr={snr!r}. From decibels: 10 ** (dB / 10)."
        )


def check_generator(rng):
    """Raise unless it is a `numpy.random.Generator`."""
    if not isinstance(rng, np.random.Generator):
        raise ValueError(
            "`rng` must be a numpy.random.Generator, such as "
            f"np.random.default_rng(0). Received: rng={rng!r}"
        )


def check_count(**values):
    """Raise unless every value is an int of at least 0."""
    for name, value in values.items():
        if not is_whole(value) or value < 0:
            raise ValueError(
                f"`{name}` must be a whole number, 0 for none. "
                f"Received: {name}={value!r}"
            )


def check_seed(seed):
    """Raise unless it is an int of at least 0."""
    if not is_whole(seed) or seed < 0:
        raise ValueError(f"`seed` must be 0 or a positive integer. Received: {seed!r}")


def check_rate(**values):
    """Raise unless every value is in [0, 1)."""
    for name, value in values.items():
        if not isinstance(value, numbers.Real) or not 0 <= value < 1:
            raise ValueError(
                f"`{name}` must be a number in [0, 1). Received: {name}={value!r}"
            )


def check_choice(choices, **values):
    """Raise unless every value is one of `choices`."""
    for name, value in values.items():
        if value not in choices:
            raise ValueError(
                f"`{name}` must be one of {list(choices)}. Received: {name}={value!r}"
            )


def positive_ints(name, values):
    """Return a tuple of positive integers from an int, a list or a tuple."""
    values = tuple(values) if isinstance(values, (list, tuple)) else (values,)
    if not values:
        raise ValueError(f"`{name}` must not be empty. Received: {name}={values!r}")
    check_positive_int(**{f"{name}[{i}]": v for i, v in enumerate(values)})
    # Plain ones: numpy's are no JSON, and Keras refuses them in some layers.
    return tuple(map(int, values))


def check_heads(num_heads, **dims):
    """Raise unless every dim is a multiple of `num_heads`."""
    for name, dim in dims.items():
        if dim % num_heads:
            raise ValueError(
                f"`{name}` must be a multiple of `num_heads`. "
                f"Received: {name}={dim}, num_heads={num_heads}"
            )


def check_band(band, rate):
    """Raise unless `band` is a range of frequencies below half of `rate`."""
    lowest, highest = band
    if not 0 <= lowest < highest <= rate / 2:
        raise ValueError(
            f"A band of frequencies must lie within 0 and {rate / 2:g} Hz, half of the "
            f"rate. Received: {lowest:g} to {highest:g} Hz."
        )
