"""Modules of a recipe, though other recipes have modules of the same names."""

import sys
from pathlib import Path

RECIPES = Path(__file__).resolve().parents[1] / "recipes"
sys.path.append(str(RECIPES))

from common import modules_of as recipe_modules  # noqa: E402, F401
