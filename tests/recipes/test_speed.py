"""What recipes share for speed: options, compiled programs, batches made ahead."""

import argparse
import os
import platform
import subprocess
import sys

import keras
import numpy as np
import pytest
from backends import once, only_on
from recipe_modules import RECIPES, recipe_modules

from keras_mmfusion._kept_memory import keep_freed_memory

sys.path.append(str(RECIPES))
import speed

RECIPE_NAMES = sorted(path.parent.name for path in RECIPES.glob("*/train.py"))


@once
@pytest.mark.parametrize("recipe", RECIPE_NAMES)
def test_every_recipe_has_the_options(recipe):
    """Each is used: what is parsed is also read."""
    files = [RECIPES / recipe / name for name in ("train.py", "run.py")]
    text = "".join(f.read_text(encoding="utf-8") for f in files if f.exists())
    assert "speed.add_arguments(parser" in text
    assert "speed.set_up(args)" in text
    # A complete run is not that of another precision.
    assert '"precision"' in text
    assert "args.steps_per_execution" in text and "steps_per_execution=" in text
    # The arrays of emotion are in memory: there is nothing to make ahead.
    assert ("args.workers" in text) == (recipe != "emotion")


def parsed(*options):
    parser = argparse.ArgumentParser()
    speed.add_arguments(parser)
    return parser.parse_args(options)


@only_on("jax")
def test_compiled_programs_are_kept(tmp_path, monkeypatch):
    import jax

    before = jax.config.jax_compilation_cache_dir
    try:
        monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
        monkeypatch.setenv("KERAS_HOME", str(tmp_path))
        args = parsed()
        speed.set_up(args)
        kept = str(tmp_path / "keras_mmfusion" / "compiled")
        assert jax.config.jax_compilation_cache_dir == args.compile_cache == kept
        monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "elsewhere")
        speed.set_up(parsed("--compile-cache", "here"))
        assert jax.config.jax_compilation_cache_dir == kept
    finally:
        jax.config.update("jax_compilation_cache_dir", before)


LOOK = """
import resource
import numpy as np
import keras
from keras_mmfusion._kept_memory import keep_freed_memory

assert keep_freed_memory()
x = np.ones((500, 3000), "float32")
model = keras.Sequential([keras.layers.Dense(3000, "relu") for _ in range(4)])
model.compile("sgd", "mse")
faults = []
for _ in range(8):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    model.train_on_batch(x, x)
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
# The heap grows at first, and wherever two steps overlap; the system may take pages.
print(min(faults[2:]))
"""


@only_on("jax")
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc")
def test_memory_is_kept_unless_the_environment_says_how(monkeypatch):
    known = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")}
    command = [sys.executable, "-c", LOOK]
    ran = subprocess.run(command, env=known, check=True, capture_output=True, text=True)
    # Four gradients of 36 MB, which are 35,000 pages of 4 KiB.
    assert int(ran.stdout.split()[-1]) < 2_000
    monkeypatch.setenv("MALLOC_ARENA_MAX", "2")
    assert not keep_freed_memory()


@once
def test_precision():
    speed.set_up(parsed("--precision", "mixed_bfloat16"))
    assert keras.config.dtype_policy().name == "mixed_bfloat16"
    with pytest.raises(SystemExit):
        parsed("--precision", "bf16")


@once
def test_counts_that_no_training_can_have():
    speed.set_up(parsed("--workers", "0"))
    for option in "--steps-per-execution", "--workers":
        with pytest.raises(SystemExit, match=f"{option} must be at least .*: -1"):
            speed.set_up(parsed(option, "-1"))
    args = parsed()
    args.images, args.epochs = None, [2, 0]
    with pytest.raises(SystemExit, match=r"--epochs must be at least 1\. .*\[2, 0\]"):
        speed.set_up(args)


@once
@pytest.mark.parametrize("workers", [0, 1, 3])
def test_batches_made_ahead_are_the_same(workers):
    """Of a data set that draws anew when an epoch ends, and of one told its epoch."""
    data = recipe_modules("mnist_channels", "data")[0]
    images = {name: np.arange(40)[:, None] for name in ("a", "b")}

    def epochs(wrap):
        triples = data.Triples(images, 8, seed=1, redraw=True)
        batches = wrap(triples)
        for epoch in range(3):
            triples.epoch = epoch
            yield [batches[i][0]["a"].ravel() for i in range(len(batches))]
            batches.on_epoch_end()

    plain = list(epochs(lambda x: x))
    ahead = list(epochs(lambda x: speed.Prefetched(x, workers)))
    assert np.array_equal(plain, ahead)
    assert not np.array_equal(plain[0], plain[1])
