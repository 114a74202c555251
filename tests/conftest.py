"""Backend, seeds, network and data for all tests."""

import gc
import os
import socket
import sys
from pathlib import Path

import pytest
from all_backends import pin_worker, pytest_cmdline_main  # noqa: F401

ROOT = Path(__file__).resolve().parent.parent
# Last, so that an installed wheel is what is tested where there is one.
sys.path.append(str(ROOT))

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
MOST_MAPS = 25_000
# The tests compile much and compute little, most of all on JAX.
FLAGS = "--xla_llvm_disable_expensive_passes=true --xla_backend_optimization_level=0"
if os.environ.get("KERAS_BACKEND") == "jax":
    # The older generator of loops; TensorFlow 2.18 would not know the flag, and end.
    FLAGS += " --xla_cpu_use_fusion_emitters=false"
os.environ.setdefault("XLA_FLAGS", FLAGS)
# A second run on JAX takes a fifth of the time with compiled programs kept.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".pytest_cache/jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

pin_worker()
# Without a backend this process only starts one for each: see all_backends.py.
if os.environ.get("KERAS_BACKEND"):
    import keras

    _delete = keras.Layer.__delattr__

    def _delete_without_collecting(self, name):
        """Keras collects garbage for each kernel that is quantised, half a second."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(gc, "collect", lambda: 0)
            _delete(self, name)

    keras.Layer.__delattr__ = _delete_without_collecting


def pytest_configure(config):
    # Layers that cannot be quantised say so, and numpy 2 dislikes how Keras copies.
    for message in (".*have a .quantize. method.*", ".*doesn't accept a copy keyword"):
        config.addinivalue_line("filterwarnings", f"ignore:{message}")


def pytest_collection_finish():
    # What is imported by now stays, the backends of Keras included: no need to look
    # at it in each collection of garbage, an eighth of the time on JAX.
    keras.utils.set_random_seed(0)
    gc.collect()
    gc.freeze()
    # Tracing makes and drops objects by the ten thousand: look for garbage less often.
    gc.set_threshold(10_000)


def pytest_report_header():
    return f"keras {keras.__version__} on {keras.backend.backend()}"


@pytest.fixture(autouse=True)
def _seed_and_session():
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy("float32")
    # Collecting garbage after each of many small tests would take half of the time.
    keras.utils.clear_session(free_memory=False)


@pytest.fixture(scope="module", autouse=True)
def _room_for_programs():
    """Let go of what JAX compiled before Linux refuses to map more of it.

    A process may have 65,530 maps; a program takes some, and one too many ends it.
    """
    yield
    maps = Path("/proc/self/maps")
    if keras.backend.backend() != "jax" or not maps.exists():
        return
    if maps.read_bytes().count(b"\n") > MOST_MAPS:
        import jax

        jax.clear_caches()
        gc.collect()


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    """Let sockets reach this machine only."""
    connect = socket.socket.connect

    def guarded(self, address):
        host = address[0] if isinstance(address, tuple) else address
        local = self.family == getattr(socket, "AF_UNIX", None)
        if not local and host not in ("127.0.0.1", "::1", "localhost"):
            raise RuntimeError(
                f"Tests must not use the network. Received: a connection to {address}"
            )
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
    monkeypatch.setattr(socket.socket, "connect_ex", guarded)


@pytest.fixture
def data_dir():
    """The folder with the real datasets, or skip."""
    folder = os.environ.get("KERAS_MMFUSION_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip(
            "needs real data: set KERAS_MMFUSION_DATA to a folder with the datasets "
            f"(see recipes/<dataset>/README.md). Received: {folder!r}"
        )
    return Path(folder)
