"""What may be searched: names, their usual ranges, and when each of them counts."""

import math
import numbers
from dataclasses import dataclass

from keras_mmfusion.models.fusions import FUSIONS

# The fusions that take each option. `"tfn"` is left to those who ask for it: its
# size grows as the product of all widths.
HEADS = ("atd", "step", "cascade", "cross_attention", "mult", "zoom_shift")
OPTIONS = {
    "num_heads": HEADS,
    "num_steps": ("atd",),
    "kernel_size": ("step",),
    "num_layers": ("mult",),
    "rank": ("lmf",),
}
# Lists are choices and pairs the ends of a range. The first of the choices and the
# lower ends are where Bayesian optimisation begins.
RANGES = {
    "fusion": ["concat", *HEADS, "lmf"],
    "dim": (16, 64),
    "num_heads": [1, 2, 4, 8],
    "num_steps": (1, 3),
    "kernel_size": [3, 5, 7],
    "num_layers": (1, 3),
    "rank": (2, 8),
    "encoder": ["dense", "lstm", "conv"],
    "encoder_dim": (16, 64),
    "dropout": (0.0, 0.5),
    "learning_rate": (1e-4, 1e-2),
}
_NAMES = ("fusion", "encoder")
_CHOICES = (*_NAMES, "num_heads", "kernel_size")
_RATES = ("dropout", "learning_rate")
_LOG = ("encoder_dim", "learning_rate")


@dataclass(frozen=True)
class Hyperparameter:
    """One line of a search space.

    `values` is a list of choices, or a pair: the ends of a range. With `fusions`, it
    counts for these fusions only.
    """

    name: str
    values: list | tuple
    fusions: tuple = ()
    step: int | None = None

    def declare(self, hp):
        """Make it known to a `keras_tuner.HyperParameters`."""
        when = {}
        if self.fusions:
            when = {"parent_name": "fusion", "parent_values": list(self.fusions)}
        if isinstance(self.values, list):
            if len(self.values) == 1:
                hp.Fixed(self.name, self.values[0], **when)
            else:
                hp.Choice(self.name, self.values, **when)
            return
        kind = _kind(self.name)
        how = {"sampling": "log"} if kind in _LOG else {}
        if self.step and self.step > 1:
            how["step"] = self.step
        make = hp.Float if kind in _RATES else hp.Int
        make(self.name, *self.values, **how, **when)


def search_space(ranges, modalities, fused):
    """The hyperparameters of a model.

    Args:
        ranges: dict or None. What is searched instead of `RANGES`: a list of choices,
            a pair of numbers (the ends of a range), or one value. `"encoder"` and
            `"encoder_dim"` count for all modalities, `"ecg/encoder"` for one.
        modalities: dict, name of a modality to the kinds of encoders that it can
            have; those without an encoder to search are not in it.
        fused: int. How many modalities are fused; of one there is no fusion.

    Returns:
        List of `Hyperparameter`, what others depend on first.

    Raises:
        ValueError: An unknown name, or a range that cannot be.
    """
    given = {name: _checked(name, value) for name, value in dict(ranges or {}).items()}
    space = [] if fused < 2 else [Hyperparameter("fusion", _of("fusion", given))]
    fusions = space[0].values if space else []
    attending = [name for name in fusions if name in HEADS]
    dim = _of("dim", given)
    heads = [n for n in _of("num_heads", given) if _divides(n, dim)]
    if attending and ("num_heads" in given and heads != given["num_heads"]):
        raise ValueError(
            "`dim` must be a multiple of every `num_heads`. Received: "
            f"dim={dim}, num_heads={given['num_heads']}. Give ranges for both."
        )
    step = math.lcm(*heads) if attending else None
    space.append(Hyperparameter("dim", dim, step=step))
    for name, takers in OPTIONS.items():
        takers = tuple(f for f in fusions if f in takers)
        if takers:
            values = heads if name == "num_heads" else _of(name, given)
            space.append(Hyperparameter(name, values, takers))
    for modality, kinds in modalities.items():
        name = f"{modality}/encoder"
        chosen = given.get(name, [k for k in _of("encoder", given) if k in kinds])
        if set(chosen) - set(kinds):
            raise ValueError(
                f"The encoder of {modality!r} must be one of {list(kinds)}. "
                f"Received: {name}={chosen}"
            )
        if len(kinds) > 1:
            space.append(Hyperparameter(name, chosen or list(kinds)))
        name = f"{modality}/encoder_dim"
        values = given.get(name, _of("encoder_dim", given))
        space.append(Hyperparameter(name, values))
    space += [Hyperparameter(name, _of(name, given)) for name in _RATES]
    _check_names(given, space, modalities)
    return space


def _check_names(given, space, modalities):
    known = {h.name for h in space}
    if modalities:
        known |= {"encoder", "encoder_dim"}
    for name in given:
        if name in known:
            continue
        if name in OPTIONS:
            raise ValueError(
                f"`{name}` is for the fusions {list(OPTIONS[name])}, and none of them "
                f"is searched. Received: ranges={given}. Leave it out, or add one."
            )
        raise ValueError(
            f"`ranges` must name hyperparameters of this search: {sorted(known)}. "
            f"Received: {name!r}"
        )


def _of(name, given):
    return given.get(name, RANGES[name])


def _kind(name):
    return name.rpartition("/")[2]


def _checked(name, value):
    """A range as a list of choices, or as a pair of numbers in order."""
    kind = _kind(str(name))
    if kind not in RANGES:
        raise ValueError(
            f"`ranges` must name hyperparameters: {sorted(RANGES)}, those of one "
            f"encoder as 'modality/encoder'. Received: {name!r}"
        )
    pair = isinstance(value, tuple) and kind not in _CHOICES
    values = list(value) if isinstance(value, (list, tuple)) else [value]
    if not values or len(set(values)) < len(values) or (pair and len(values) != 2):
        raise ValueError(
            f"The range of {name!r} must be a list of different choices, a pair "
            f"(lowest, highest) of numbers, or one value. Received: {value!r}"
        )
    for entry in values:
        _check_entry(name, kind, entry)
    if pair and values[0] > values[1]:
        raise ValueError(
            f"The range of {name!r} must be (lowest, highest). Received: {value!r}"
        )
    return tuple(values) if pair else values


def _check_entry(name, kind, entry):
    if kind in _NAMES:
        allowed = sorted(FUSIONS) if kind == "fusion" else RANGES["encoder"]
        if entry not in allowed:
            raise ValueError(
                f"The range of {name!r} must be of {allowed}. Received: {entry!r}"
            )
        return
    number = isinstance(entry, numbers.Real) and not isinstance(entry, bool)
    if kind == "dropout":
        fits, expected = number and 0 <= entry < 1, "numbers in [0, 1)"
    elif kind == "learning_rate":
        fits, expected = number and 0 < entry < math.inf, "numbers above 0"
    else:
        number = number and isinstance(entry, numbers.Integral)
        fits, expected = number and entry >= 1, "integers above 0"
    if not fits:
        raise ValueError(
            f"The range of {name!r} must be of {expected}. Received: {entry!r}"
        )


def _divides(heads, dims):
    return all(dim % heads == 0 for dim in dims)
