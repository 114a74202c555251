"""What was scored, model by model and seed by seed."""

import json
from pathlib import Path

import architecture


def read_runs(folder, part="protocols"):
    """`{model: [what was found with each seed]}`, in the order of the table."""
    found = {}
    for name in architecture.MODELS:
        files = sorted(Path(folder, name).glob("seed*/test.json"))
        runs = [json.loads(file.read_text()) for file in files]
        if runs and part in runs[0]:
            found[name] = [run[part] for run in runs]
    return found


def read_facts(folder):
    """`{model: {seed: what its training left}}`."""
    return {
        name: {
            int(file.parent.name.removeprefix("seed")): json.loads(file.read_text())
            for file in sorted(Path(folder, name).glob("seed*/run.json"))
        }
        for name in architecture.MODELS
        if Path(folder, name).is_dir()
    }


def validation_error(facts, horizons=(96, 192, 336, 720)):
    """Mean of the squared errors on the rows to validate on, over horizons."""
    of = facts["validation"]
    return sum(of[str(h)]["mse"] for h in horizons) / len(horizons)
