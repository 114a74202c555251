"""What the samples of a WFDB file are in millivolts."""

import re

import numpy as np

# Bits per sample of the storage formats that reserve a code for invalid samples.
_BITS = {
    8: ("80", "508"),
    10: ("310", "311"),
    12: ("212",),
    16: ("16", "61", "160", "516"),
    24: ("24", "524"),
    32: ("32",),
}
# Units in millivolts; the sign for micro has two codes.
MILLIVOLTS = {
    unit: scale
    for scale, units in (
        (1.0, ("mv", "millivolt", "millivolts")),
        (1e-3, ("uv", "\u00b5v", "\u03bcv", "microvolt", "microvolts")),
        (1e-6, ("nv", "nanovolt", "nanovolts")),
        (1e3, ("v", "volt", "volts")),
    )
    for unit in units
}
# "µV" in a header, in UTF-8 or Latin-1. The library reads ASCII alone, of it "V".
_MICROVOLTS = re.compile(rb"/(\xc2\xb5|\xce\xbc|\xb5)v\b", re.IGNORECASE)
# No signal is larger, be it in microvolts (1 V is 1e6) or in counts of 24 bits. Up to
# here a wrong sample disturbs the seconds around it, beyond the whole record.
LARGEST = 1e7
_INVALID = {name: -(1 << (bits - 1)) for bits, names in _BITS.items() for name in names}


def scales(path, header):
    """Millivolts of the units of the signals; the library drops the sign for micro."""
    lines = path.with_name(path.name + ".hea").read_bytes().splitlines()
    lines = [line for line in lines if line.strip() and not line.startswith(b"#")]
    units = [
        "uV" if _MICROVOLTS.search(line) else unit or "mV"
        for unit, line in zip(header.units, lines[1:], strict=False)
    ]
    return [MILLIVOLTS.get(unit.lower(), 1.0) for unit in units]


def in_millivolts(record, factors):
    """Float32 `(samples, leads)`; the library's own scaling is float64."""
    columns = []
    for i, digital in enumerate(record.e_d_signal):
        column = (digital - record.baseline[i]).astype("float32")
        column *= np.float32(factors[i]) / np.float32(record.adc_gain[i] or 200.0)
        # The most negative code of a format means "no valid sample here".
        column[digital == _INVALID.get(str(record.fmt[i]))] = np.nan
        column[np.abs(column) > LARGEST] = np.nan
        columns.append(column.reshape(-1, record.samps_per_frame[i]).mean(axis=1))
    return np.stack(columns, axis=1)
