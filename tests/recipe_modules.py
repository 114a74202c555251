"""Modules of a recipe, though other recipes have modules of the same names."""

import importlib
import sys
from pathlib import Path

RECIPES = Path(__file__).resolve().parents[1] / "recipes"


def recipe_modules(recipe, *names):
    """Import `recipes/<recipe>/<name>.py`, whose neighbours go by their plain names.

    Afterwards these names are free for the next recipe.
    """
    folder = RECIPES / recipe
    own = [path.stem for path in folder.glob("*.py")]
    others = {name: sys.modules.pop(name) for name in own if name in sys.modules}
    sys.path.insert(0, str(folder))
    try:
        return [importlib.import_module(name) for name in names]
    finally:
        sys.path.remove(str(folder))
        for name in own:
            sys.modules.pop(name, None)
        sys.modules.update(others)
