"""Every file of every recipe can be imported, those that are run by hand included."""

from pathlib import Path

import pytest
from backends import once
from recipe_modules import recipe_modules

RECIPES = Path(__file__).parents[2] / "recipes"
FILES = sorted(RECIPES.glob("*/*.py"))


@once
@pytest.mark.parametrize("recipe", sorted({file.parent.name for file in FILES}))
def test_import(recipe):
    names = [file.stem for file in FILES if file.parent.name == recipe]
    found = recipe_modules(recipe, *names)
    assert [module.__name__ for module in found] == names
