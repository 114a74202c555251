"""Whether a preset still is what its metadata says."""

import keras

from keras_mmfusion._checks import check_tolerance
from keras_mmfusion.presets import _golden, _registry
from keras_mmfusion.presets._errors import PresetError
from keras_mmfusion.presets._folder import GOLDEN, WEIGHTS
from keras_mmfusion.presets._load import load
from keras_mmfusion.presets._metadata import format_bytes


class Report(dict):
    """What `presets.verify` found; prints as a few lines."""

    def __repr__(self):
        difference = self["golden_difference"]
        golden = (
            "no golden outputs"
            if difference is None
            else f"golden outputs differ by {difference:.1e} "
            f"(at most {self['tolerance']:.0e})"
        )
        return "\n".join(
            [
                f"{self['name']} {self['version']} on {self['backend']}: fine",
                f"  {self['files']} files, {format_bytes(self['bytes'])}, hashes equal",
                f"  {self['parameters']:,} parameters",
                f"  {golden}",
            ]
        )

    __str__ = __repr__


def verify(name, tolerance=1e-5):
    """Check a preset on the backend in use: files, parameters and outputs.

    Args:
        name: `str` or `PathLike`. Name, `name@version`, path of a folder, or
            address, as of `load`.
        tolerance: float. Largest difference allowed from the golden outputs,
            relative to their largest value where that is above 1.
            Defaults to `1e-5`.

    Returns:
        dict with the keys `name`, `version`, `backend`, `files` (count), `bytes`,
        `parameters`, `golden_difference` (None without golden outputs) and
        `tolerance`. It prints as a report.

    Raises:
        PresetError: A file is missing, changed or not listed; the model does not
            build, has another number of parameters, or gives other outputs.
        ValueError: `tolerance` is not a number of at least 0.

    Example:

    ```python
    import keras
    from keras_mmfusion import presets

    model = keras.Sequential([keras.Input((4,), name="load"), keras.layers.Dense(1)])
    presets.save(model, "runs/my_forecaster", overwrite=True)
    print(presets.verify("runs/my_forecaster"))
    ```
    """
    check_tolerance(tolerance)
    folder = _registry.find(name)
    model = load(folder.path, load_weights=folder.has(WEIGHTS))
    difference = None
    if folder.has(GOLDEN):
        path = folder.path / GOLDEN
        inputs, expected = _golden.parse(folder.read(GOLDEN), str(path))
        try:
            received = _golden.predict(model, inputs)
        except Exception as error:
            raise PresetError(
                f"{path} must hold inputs that the model takes. Received: {error}. "
                "Get the preset again."
            ) from error
        difference = _golden.largest_difference(expected, received, str(path))
        if difference > tolerance:
            raise PresetError(
                f"{folder.path} must give the outputs in {GOLDEN} to {tolerance:g}. "
                f"Received: a difference of {difference:.3g} on the backend "
                f"{keras.backend.backend()}. Weights, config and golden outputs are "
                "not of one model; get the preset again."
            )
    metadata = folder.metadata
    return Report(
        name=metadata["name"],
        version=metadata["version"],
        backend=keras.backend.backend(),
        files=len(metadata["files"]),
        bytes=metadata.size,
        parameters=metadata["parameters"],
        golden_difference=difference,
        tolerance=tolerance,
    )
