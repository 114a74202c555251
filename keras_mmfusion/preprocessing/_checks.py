"""Checks that several ways of preparing sound share."""


def check_band(band, rate):
    """Raise unless `band` is a range of frequencies below half of `rate`."""
    lowest, highest = band
    if not 0 <= lowest < highest <= rate / 2:
        raise ValueError(
            f"A band of frequencies must lie within 0 and {rate / 2:g} Hz, half of the "
            f"rate. Received: {lowest:g} to {highest:g} Hz."
        )
