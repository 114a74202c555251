"""What `mmfusion tune` searches on: arrays of an .npz file, or ECG records."""

import zipfile
import zlib
from dataclasses import dataclass

import numpy as np

from keras_mmfusion.datasets import RecordError

# What numpy raises for files that are something else, or in part there.
_UNREADABLE = (OSError, ValueError, AttributeError, EOFError, TypeError)
_UNREADABLE += (zipfile.BadZipFile, zlib.error, KeyError)
_OTHERS = ("y", "groups", "sample_weight")


@dataclass(frozen=True)
class SearchData:
    """Arrays to train and validate on.

    `groups` is None where nothing says which samples belong together; `like` is the
    model whose encoders are taken; `notes` are lines for the user.
    """

    x: dict
    y: np.ndarray
    sample_weight: np.ndarray | None
    groups: np.ndarray | None
    like: object
    notes: list

    @property
    def forecasting(self):
        return self.y.dtype.kind == "f"


def read(path, like=None, records=None):
    """Read a file or a folder; `like` is the name of a preset, or None."""
    model = None
    if like is not None:
        from keras_mmfusion import presets

        model = presets.load(like, load_weights=False)
    if path.is_dir():
        return _read_records(path, model, like, records)
    if records:
        raise RecordError(f"--records is for a folder of records. Received: {path}")
    return _read_arrays(path, model)


def _read_arrays(path, model):
    arrays = _load(path)
    y = arrays.get("y")
    names = [name for name in arrays if name not in _OTHERS]
    if y is None or not names:
        raise RecordError(
            f"{path} must hold an array for each modality, and y. "
            f"Received: {sorted(arrays)}"
        )
    odd = [k for k, v in arrays.items() if k != "groups" and v.dtype.kind not in "iufb"]
    if odd:
        raise RecordError(
            f"The arrays of {path} must be numbers. Received: {odd[0]} of dtype "
            f"{arrays[odd[0]].dtype}"
        )
    lengths = {name: len(v) if v.ndim else 0 for name, v in arrays.items()}
    if len(set(lengths.values())) > 1 or lengths["y"] < 2:
        raise RecordError(
            f"All arrays of {path} must hold the same samples, two at least. "
            f"Received: {lengths}"
        )
    forecasting = y.dtype.kind == "f"
    if forecasting and (y.ndim != 3 or not np.isfinite(y).all()):
        raise RecordError(
            "y must be classes, integers (samples,) or (samples, time), or a forecast, "
            "finite numbers (samples, horizon, columns). Received: dtype "
            f"{y.dtype}, shape {y.shape}"
        )
    if not forecasting and y.ndim > 2:
        raise RecordError(
            "Classes must be integers (samples,) or (samples, time). Received: y of "
            f"shape {y.shape}. Make floats of a forecast: y.astype('float32')."
        )
    x = {name: _modality(name, arrays[name]) for name in names}
    if not forecasting:
        y = y.astype("int64")
        # Single vectors are series of one step.
        x = {n: v[:, None] if v.ndim == 2 else v for n, v in x.items()}
    if model is not None:
        x = _as_in(model, x, path)
    elif forecasting and y.shape[2:] != x[names[0]].shape[2:]:
        raise RecordError(
            f"A forecast must have the columns of the first modality, {names[0]!r}: "
            f"{x[names[0]].shape[2:]}. Received: y of shape {y.shape}. Name first in "
            "numpy.savez what is forecast, and the other columns as another modality."
        )
    elif y.ndim == 2 and y.shape[1:] != x[names[0]].shape[1:2]:
        raise RecordError(
            f"y must be (samples,), or hold a class for each step of {names[0]!r}, "
            f"{x[names[0]].shape[:2]}. Received: shape {y.shape}. Make a single column "
            "flat, and numbers of one-hot rows: y.argmax(axis=1)."
        )
    groups, weight = arrays.get("groups"), _weights(arrays, y)
    if groups is not None and groups.ndim != 1:
        raise RecordError(
            f"groups must have one entry a sample. Received: shape {groups.shape}"
        )
    if not forecasting:
        y, weight = _without_unknown(y, weight)
        if y.max() >= y.size and model is None:
            raise RecordError(
                "Classes must be numbered from 0. Received: y with the class "
                f"{y.max()} among {y.size} entries. numpy.unique(y, "
                "return_inverse=True)[1] numbers them."
            )
    notes = []
    if groups is None and not forecasting:
        notes.append("no groups: samples of one source may be on both sides")
    return SearchData(x, y, weight, groups, model, notes)


def _load(path):
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except FileNotFoundError as error:
        raise RecordError(
            f"{path} is not there. Name an .npz file, or a folder of records."
        ) from error
    except _UNREADABLE as error:
        raise RecordError(
            f"{path} must be an .npz file of plain arrays, as numpy.savez writes it. "
            f"Received: {error}"
        ) from error


def _modality(name, values):
    """A modality in float32; its name is one that every backend takes."""
    if set(name) & set("./"):
        raise RecordError(
            f"Names of modalities must be without '.' and '/'. Received: {name!r}"
        )
    with np.errstate(over="ignore"):
        values = values.astype("float32")
    if np.isnan(values).all():
        raise RecordError(f"{name!r} is missing from all samples. Leave it out.")
    if np.isinf(values).any():
        raise RecordError(
            f"{name!r} must hold numbers within the range of float32, NaN where one is "
            f"missing. Received: {np.isinf(values).sum()} that are infinite in it"
        )
    return values


def _weights(arrays, y):
    """Weights as `y` has samples, or steps; None where none are given."""
    if "sample_weight" not in arrays:
        return None
    weight = arrays["sample_weight"].astype("float32")
    shape = y.shape[:2]
    allowed = [shape[:1], shape][: len(shape)]
    odd = int((~(np.isfinite(weight) & (weight >= 0))).sum())
    if weight.shape not in allowed or odd:
        raise RecordError(
            "sample_weight must hold finite numbers, 0 or more, of shape "
            f"{' or '.join(map(str, allowed))}. Received: shape {weight.shape}, "
            f"{odd} that are negative or not finite"
        )
    if weight.ndim < len(shape):
        # Keras would take weights of samples for those of steps.
        weight = np.repeat(weight[:, None], shape[1], axis=1)
    return weight


def _as_in(model, x, path):
    """The modalities that a preset has, in its order and shapes."""
    expected = {name: tuple(t.shape[1:]) for name, t in model.input.items()}
    received = {name: values.shape[1:] for name, values in x.items()}
    fits = set(expected) == set(received) and all(
        len(received[n]) == len(shape)
        and all(a in (None, b) for a, b in zip(shape, received[n], strict=True))
        for n, shape in expected.items()
    )
    if not fits:
        raise RecordError(
            f"The modalities of {path} must be as in the preset: {expected}. "
            f"Received: {received}"
        )
    return {name: x[name] for name in expected}


def _without_unknown(y, weight):
    """Classes from 0, with the weight 0 where y is negative: not known."""
    unknown = y < 0
    if unknown.all():
        raise RecordError("y must hold classes from 0. Received: negative ones only.")
    if unknown.any():
        weight = np.ones(y.shape, "float32") if weight is None else weight
        weight = np.where(unknown, 0, weight).astype("float32")
    return np.maximum(y, 0), weight


def _read_records(folder, model, like, records):
    """Runs of consecutive beats of every record, as the preset takes them."""
    from keras_mmfusion.datasets import mitbih, read_wfdb
    from keras_mmfusion.preprocessing import BeatPreprocessor, BeatSegments

    if not isinstance(getattr(model, "preprocessor", None), BeatPreprocessor):
        raise RecordError(
            "A folder of records needs --preset-like with a preset that labels beats, "
            f"such as atd_mitbih. Received: {like}"
        )
    there = sorted(p.stem for p in folder.glob("*.hea") if _annotated(p))
    notes = []
    names = records or there
    if not records and set(there) & set(mitbih.DS1):
        names = [name for name in there if name in mitbih.DS1]
        if len(names) < len(there):
            notes.append("records of DS1 only: the others are there to test on")
    if missing := [name for name in names if name not in there]:
        raise RecordError(
            f"{folder} must hold each record with its .hea and .atr. "
            f"Received: none for {missing}"
        )
    labels_of = _labels_for(model.classes, like)
    parts = {name: [] for name in model.modalities}
    labels, groups = [], []
    for name in names:
        record = read_wfdb(folder / name, "atr")
        inputs = model.preprocessor(record)
        cut = BeatSegments(len(record.beats), model.segment_length, model.causal)
        for modality in parts:
            parts[modality].append(cut.cut(inputs.modalities[modality]))
        known = np.where(inputs.reasons == "", labels_of(record.symbols), -1)
        rows = known[np.minimum(cut.index, cut.num_beats - 1)]
        labels.append(np.where(cut.valid, rows, -1))
        groups += [mitbih_person(name)] * len(cut)
    if not names:
        raise RecordError(
            f"{folder} must hold WFDB records with annotations (.hea, .dat and .atr). "
            "Received: none."
        )
    x = {name: np.concatenate(values) for name, values in parts.items()}
    y, weight = _without_unknown(np.concatenate(labels), None)
    return SearchData(x, y, weight, np.array(groups), model, notes)


def mitbih_person(name):
    """201 and 202 are recordings of one man; all others of different people."""
    return "201" if name == "202" else name


def _annotated(header):
    return header.with_suffix(".atr").is_file()


def _labels_for(classes, like):
    """Function of the symbols of beats: numbers of the classes, -1 for no class."""
    from keras_mmfusion.datasets import mitbih

    for known, function in (
        (mitbih.AAMI_CLASSES, mitbih.aami_labels),
        (mitbih.NLRAV_CLASSES, mitbih.nlrav_labels),
    ):
        if classes and set(classes) <= set(known):
            numbers = [classes.index(c) if c in classes else -1 for c in known]
            lookup = np.array([*numbers, -1])
            return lambda symbols: lookup[function(symbols)]
    raise RecordError(
        f"The classes of {like} must be those of AAMI or N, L, R, A, V to be found in "
        f"the annotations. Received: {classes}"
    )
