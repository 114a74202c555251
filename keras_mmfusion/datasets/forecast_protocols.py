"""Protocols by which forecasts of ETT are measured: horizons, columns, units."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ForecastProtocol:
    """How errors are measured; rows are those of `split_rows`, every window counts.

    Attributes:
        name: str.
        horizons: tuple of ints, steps to forecast.
        features: tuple of str, `"M"` for all columns, `"S"` for the last one alone.
        unit: `"standard"`: standard deviations of the training rows; `"minmax"`:
            their range.

    Reference:
        `ltsf_standard` is that of Zeng et al., arXiv:2205.13504. The others are our
        reading of what the papers on ATD and step fusion print without saying how.
    """

    name: str
    horizons: tuple
    features: tuple
    unit: str = "standard"

    def errors(self, found, values):
        """Errors in the unit of this protocol.

        Args:
            found: dict of `forecast_metrics`, of values in standard deviations.
            values: Array `(rows, columns)`, the rows of training, unscaled.

        Returns:
            dict of `"mse"` and `"mae"`.

        Example:

        ```python
        import numpy as np
        from keras_mmfusion.datasets.forecast_protocols import PROTOCOLS

        values = np.array([[0.0], [0.0], [4.0], [4.0]])  # deviation 2, range 4
        found = {"mse_of_columns": np.array([1.0]), "mae_of_columns": np.array([0.9])}
        PROTOCOLS["seed_long_minmax"].errors(found, values)  # mse .25, mae .45
        ```
        """
        ratio = np.ones(len(found["mse_of_columns"]))
        if self.unit == "minmax":
            ratio = values.std(axis=0) / np.ptp(values, axis=0)
        return {
            "mse": float(np.mean(found["mse_of_columns"] * ratio**2)),
            "mae": float(np.mean(found["mae_of_columns"] * ratio)),
        }


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        ForecastProtocol("ltsf_standard", (24, 48, 96, 192, 336, 720), ("M", "S")),
        ForecastProtocol("seed_short", (1, 2, 3, 6), ("S",)),
        ForecastProtocol("seed_long_minmax", (96, 192, 336, 720), ("M", "S"), "minmax"),
    )
}
