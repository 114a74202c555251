"""Modules of a recipe, though other recipes have modules of the same names."""

import json
import shlex
import sys
from pathlib import Path

RECIPES = Path(__file__).resolve().parents[1] / "recipes"
sys.path.append(str(RECIPES))

from common import modules_of as recipe_modules  # noqa: E402, F401


def assert_command_tells_settings(run, train):
    """The command that a run names, given again, asks for what it was trained with."""
    facts = json.loads((run / "run.json").read_text())
    asked = train.parse_arguments(shlex.split(facts["command"])[2:])
    told = {name: getattr(asked, name) for name in train.OPTIONS}
    known = facts["settings"].keys() & told.keys()
    assert {"batch_size", "learning_rate", "precision"} <= known
    for name in known:
        assert told[name] == facts["settings"][name], name
