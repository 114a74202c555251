"""Memory that JAX needs at every training step, kept by the process."""

import ctypes
import os

import keras

# The parameters of `mallopt` in glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8
_NEVER = 2**31 - 1


def keep_freed_memory():
    """Do not give freed memory back to the system; JAX with glibc only.

    To be called before JAX computes, whose threads keep the arenas that they have.

    XLA allocates what a step needs anew at each call, and the system hands out every
    page of it empty when it is first touched: a quarter of the time of a step that
    takes hundreds of megabytes. The other backends keep most of what they free.
    Whoever set `MALLOC_…` or `GLIBC_TUNABLES` in the environment is left alone. With
    an accelerator it does nothing, good or bad.

    Returns:
        bool. Whether memory is kept.
    """
    chosen = any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ)
    if chosen or os.name != "posix" or keras.backend.backend() != "jax":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    # One arena, since only that of the main thread grows without mapping.
    settings = (_MMAP_MAX, 0), (_TRIM_THRESHOLD, _NEVER), (_ARENA_MAX, 1)
    return all([mallopt(parameter, value) for parameter, value in settings])
