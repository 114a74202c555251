"""What shows how far the work is: on stderr, and for people only."""

import io
import sys

import pytest
from backends import once
from cli_fakes import copy_excerpt

from keras_mmfusion import cli
from keras_mmfusion.cli._progress import progress_bar

pytestmark = [once, pytest.mark.usefixtures("loaded")]


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("no_colour", ["", "1"])
def test_a_bar_begins_with_the_work_and_ends_once(monkeypatch, capsys, no_colour):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("NO_COLOR", no_colour)
    update = progress_bar("Counting")
    assert sys.stderr.getvalue() == ""
    for done in (1, 2, 3, 3):
        update(done, 3)
    shown = sys.stderr.getvalue()
    assert shown.startswith("Counting\n") and shown.count("3/3") == 1
    assert ("\33" in shown) == (not no_colour) and "━" in shown
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "words, titles",
    [
        (["annotate", "rec"], ["Detecting beats", "Labelling beats"]),
        (["evaluate", "rec"], ["Labelling beats of rec (1 of 1)"]),
        (
            ["evaluate", "a", "b", "--beats", "detect"],
            [
                f"{work} beats of {record}"
                for record in ("a (1 of 2)", "b (2 of 2)")
                for work in ("Detecting", "Labelling")
            ],
        ),
        (["demo"], ["Labelling beats"]),
    ],
)
def test_long_work_is_shown_to_those_who_watch(
    tmp_path, monkeypatch, capsys, words, titles
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stderr", Terminal())
    for name in ("rec", "a", "b"):
        copy_excerpt(tmp_path, name)
    assert cli.main(words) == 0
    shown = sys.stderr.getvalue()
    assert "1/1" in shown and "1/1" not in capsys.readouterr().out
    lines = shown.splitlines()
    assert [line for line in lines if line.endswith(("beats", ")"))] == titles
