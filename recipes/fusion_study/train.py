"""One run: one model of one dataset with one seed.

It leaves its weights and what was found on the data to validate on. A run that is
complete is skipped, one that was killed goes on from its last epoch. Nothing here
looks at the data to test on.
"""

import json
import time
from dataclasses import asdict

import keras
import models
import numpy as np
import resuming
import speed
import study
from batches import Only
from common import commit


def run(
    task,
    name,
    seed,
    budget,
    output,
    verbose=2,
    workers=0,
    steps_per_execution=1,
):
    """Train a model, or leave it if it is there already."""
    folder = study.folder_of(output, task.name, name, seed)
    file = folder / "run.json"
    settings = {
        "budget": asdict(budget),
        "precision": keras.config.dtype_policy().name,
    }
    if file.exists():
        facts, usual = json.loads(file.read_text()), {"precision": "float32"}
        if {**usual, **facts, **settings} != {**usual, **facts}:
            raise SystemExit(
                f"error: {folder} was trained with another budget or --precision, so "
                "that it cannot be compared. Move it away, or choose another --output."
            )
        return
    folder.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(seed)
    model = models.build(task, name, seed)
    batches = Only(task.training(seed), model.input)
    steps = budget.epochs * len(batches)
    warmup = max(steps // 20, 1)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0,
        max(steps - warmup, 1),
        alpha=0.01,
        warmup_target=budget.learning_rate,
        warmup_steps=warmup,
    )
    weighted = task.kind == "beats"
    model.compile(
        keras.optimizers.AdamW(schedule, weight_decay=1e-3, global_clipnorm=1.0),
        models.LOSSES[task.kind],
        weighted_metrics=[] if weighted else None,
        jit_compile=keras.backend.backend() == "jax",
        steps_per_execution=steps_per_execution,
    )
    best = Best(task, batches, folder, seed)
    checkpoint = resuming.Checkpoint(folder, budget.epochs)
    model.fit(
        speed.Prefetched(batches, workers),
        **checkpoint.span,
        shuffle=False,
        verbose=verbose,
        callbacks=[best, checkpoint],
    )
    facts = {
        "commit": commit(),
        **settings,
        "backend": keras.backend.backend(),
        "keras": keras.__version__,
        "parameters": model.count_params(),
        "flops": flops(model, task.shapes),
        "epoch": best.epoch,
        "validation": [of["score"] for of in best.log],
        # The first epoch compiles.
        "seconds": round(
            float(np.median([of["seconds"] for of in best.log][1:] or 0)), 4
        ),
    }
    resuming.finish(folder, facts)
    chosen = facts["validation"][best.epoch]
    print(f"{folder}: epoch {best.epoch}, validation {chosen:.4f}", flush=True)


class Best(keras.callbacks.Callback):
    """Score the model after each epoch, and keep the weights of the best one.

    Attributes:
        log: list of dict, for each epoch its score, and the CPU seconds that its
            training took: other work of the machine then counts less.
    """

    def __init__(self, task, batches, folder, seed):
        super().__init__()
        self.task, self.batches, self.seed = task, batches, seed
        self.file, self.weights = folder / "epochs.json", folder / "best.weights.h5"
        self.log = json.loads(self.file.read_text()) if self.file.exists() else []

    @property
    def epoch(self):
        scores = [of["score"] for of in self.log]
        return int(
            np.argmin(scores) if self.task.lower_is_better else np.argmax(scores)
        )

    def on_epoch_begin(self, epoch, logs=None):
        self.batches.epoch = epoch
        del self.log[epoch:]
        # An epoch does not depend on those before it.
        for number, variable in enumerate(self.model.variables):
            if variable.path.endswith("seed_generator_state"):
                variable.assign([self.seed + number, 10_000 * epoch])
        self.start = time.process_time()

    def on_epoch_end(self, epoch, logs=None):
        seconds = time.process_time() - self.start
        score = main_score(self.task, self.model, self.task.validation)
        self.log.append({"score": score, "seconds": seconds})
        if self.epoch == epoch:
            self.model.save_weights(self.weights)
        resuming.write_whole(self.file, json.dumps(self.log).encode())


def main_score(task, model, part):
    x, y = part
    predictions = models.predictor(task, model).predict(x, batch_size=64, verbose=0)
    return next(iter(task.metrics(y, predictions).values()))


def flops(model, shapes):
    """Floating-point operations for one sample, as XLA counts them; else None."""
    if keras.backend.backend() != "jax":
        return None
    import jax

    inputs = {
        name: np.ones((1, *shapes[name]), tensor.dtype)
        for name, tensor in model.input.items()
    }
    state = (
        [v.value for v in model.trainable_variables],
        [v.value for v in model.non_trainable_variables],
    )

    def call(trainable, others, x):
        return model.stateless_call(trainable, others, x, training=False)[0]

    cost = jax.jit(call).lower(*state, inputs).cost_analysis()
    return int(cost["flops"])
