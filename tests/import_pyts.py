"""pyts, which the layers that make pictures of series are compared with."""

import pytest


def import_pyts():
    """`pyts.image`, or skip; its loops in Python, which suits a few numbers.

    As they are, numba compiles them for half a minute when they are imported.
    """
    numba = pytest.importorskip("numba", reason="needs pyts: pip install pyts")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numba.config, "DISABLE_JIT", 1)
        return pytest.importorskip("pyts.image", reason="needs pyts: pip install pyts")
