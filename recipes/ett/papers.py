"""What the papers print, and why nothing here is compared with it."""

PAPERS = {
    "source": "Qin et al., step fusion and zoom and shift, on ETT: horizon, columns, "
    "split and scale are not stated",
    "short": {"mae": 0.058, "mse": 0.006},
    "numerical_only": {"mae": 0.187, "mse": 0.0298},
    "long_mae": {"96": 0.076, "192": 0.077, "336": 0.081, "720": 0.097},
    "long_mse": {"96": 0.008, "192": 0.009, "336": 0.010, "720": 0.013},
}
NOT_COMPARABLE = (
    "The tables of the papers put results of other work for the oil temperature alone "
    "at 720 hours (NLinear, FiLM), for it at 24 hours (SCINet) and for all seven "
    "columns (Linear), all in standard deviations, beside results of their own whose "
    "horizon, columns, split and unit are not stated. So nothing here claims to "
    "reproduce or to beat those rows; what is measured here has a protocol. Their row "
    f"of numbers alone, {PAPERS['numerical_only']['mae']} / "
    f"{PAPERS['numerical_only']['mse']}, is impossible: a mean squared error is never "
    "less than the square of the mean absolute one."
)


def text():
    """Their rows and the reasons, as a card tells them."""
    long = ", ".join(
        f"{mae} / {PAPERS['long_mse'][h]:.3f} ({h})"
        for h, mae in PAPERS["long_mae"].items()
    )
    return (
        f"They print a mean absolute error of {PAPERS['short']['mae']} and a mean "
        f"squared one of {PAPERS['short']['mse']} for short forecasts, and for long "
        f"ones {long}. {NOT_COMPARABLE}"
    )


def rows(protocol):
    """Their errors by horizon, under the protocol by whose unit they are possible."""
    if protocol == "seed_short":
        return {"3": PAPERS["short"]}
    if protocol == "seed_long_minmax":
        mae, mse = PAPERS["long_mae"], PAPERS["long_mse"]
        return {h: {"mae": mae[h], "mse": mse[h]} for h in mae}
    return {}
