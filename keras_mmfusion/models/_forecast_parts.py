"""The two parts of a forecaster: what is linear, and what is fused."""

import keras

from keras_mmfusion._checks import check_choice
from keras_mmfusion.layers import DLinear, LinearForecast, NLinear, SeasonalNaive
from keras_mmfusion.models import _columns
from keras_mmfusion.models._encoding import encode
from keras_mmfusion.models._fusing import fuse_modalities
from keras_mmfusion.models._policies import policy_of

SKIPS = {"nlinear": NLinear, "dlinear": DLinear, "linear": LinearForecast}


def check_shapes(shapes, skip):
    """The name of the covariates, or None; raise for what cannot be."""
    check_choice((*sorted(SKIPS), None), skip=skip)
    first = next(iter(shapes.values()), ())
    if len(first) != 2 or None in first:
        raise ValueError(
            "The first of `inputs` must be the series, (time, columns), both known. "
            f"Received: inputs={shapes}"
        )
    covariates = [name for name, shape in shapes.items() if len(shape) == 1]
    if len(covariates) > 1 or (covariates and skip is None):
        raise ValueError(
            "One input without time may go to a linear skip. "
            f"Received: {covariates} with skip={skip!r}"
        )
    odd = {n: s for n, s in shapes.items() if len(s) not in (1, 2)}
    if odd:
        raise ValueError(
            f"`inputs` must be (time, features) or (features,). Received: {odd}"
        )
    return covariates[0] if covariates else None


def add_fusion(
    tensors, encoders, of_series, fusion, dim, options, modality_dropout, own_policy
):
    """As `fuse_modalities`, of every column: `(batch * columns, time, dim)`."""
    policy = policy_of(own_policy, "")
    features = {}
    for name, tensor in tensors.items():
        if tuple(tensor.shape[1:]) == of_series:
            x = _columns.ColumnsToBatch(name=f"{name}_columns")(tensor)
            x = _columns.SinceLast(name=f"{name}_since_last")(x)
        else:
            repeat = _columns.RepeatForColumns(of_series[1], name=f"{name}_columns")
            x = repeat(tensor)
        features[name] = encode(name, x, encoders[name], policy)
    return fuse_modalities(features, fusion, dim, options, modality_dropout, own_policy)


def add_skip(tensors, skip, horizon, own_policy):
    """The linear forecast of a series, and of covariates if there are two tensors."""
    names = ("known", "known_covariates")
    known = [
        _columns.ZeroForMissing(name=name)(tensor)
        for name, tensor in zip(names, tensors, strict=False)
    ]
    known = known if len(known) > 1 else known[0]
    if skip is None:
        return SeasonalNaive(horizon, name="skip", dtype="float32")(known)
    linear = SKIPS[skip](horizon, name="skip", dtype=_float32(own_policy))
    forecast = linear(known)
    linear.trainable = False
    return forecast


def _float32(policy):
    """Forecasts keep their digits; entries for int8 stay."""
    if isinstance(policy, keras.dtype_policies.DTypePolicyMap):
        return policy
    return "float32"
