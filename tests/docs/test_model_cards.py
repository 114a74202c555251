"""Shipped cards are model cards of the Hugging Face Hub, with the zoo's numbers."""

import json
import sys
from pathlib import Path

import pytest
from backends import once

from keras_mmfusion.presets._registry import shipped_directory

sys.path.append(str(Path(__file__).parents[2] / "recipes"))

from front_matter import COUNTS, HEAD, with_front_matter

pytestmark = once
hub = pytest.importorskip("huggingface_hub", reason="needs the extra `hub`")
CARDS = sorted(shipped_directory().glob("*/README.md"))


def metadata_of(path):
    return json.loads(path.with_name("metadata.json").read_bytes())


def released(metadata):
    """`{(protocol, metric): value}` of the weights that are in the folder."""
    values = metadata["baselines"].get("released_weights", {})
    protocols = list(metadata["metrics"])
    if set(values).isdisjoint(protocols):
        # Of one protocol; by the others, models of their own were scored.
        values = {protocol: values for protocol in protocols[:1]}
    return {
        (protocol, name): values[protocol][name]
        for protocol in values
        for name in metadata["metrics"][protocol]
        if name not in COUNTS
    }


def in_card(text):
    results = hub.ModelCard(text).data.eval_results or []
    found = {(r.dataset_config, r.metric_name): r.metric_value for r in results}
    assert len(found) == len(results)
    return found


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.parent.name)
def test_card(path):
    card, metadata = hub.ModelCard.load(path), metadata_of(path)
    data = card.data
    assert (data.license, data.library_name) == ("apache-2.0", "keras")
    assert {"keras_mmfusion", *metadata["inputs"]} <= set(data.tags)
    assert all(isinstance(name, str) and name for name in data.datasets)
    assert data.language in (None, "en", "zh")
    forecasts = metadata["task"] == "forecasting"
    assert data.pipeline_tag == ("time-series-forecasting" if forecasts else None)
    assert card.text.strip().startswith(f"# {metadata['name']}\n")
    assert in_card(card.content) == released(metadata)
    results = data.eval_results or []
    assert set(data.metrics or []) <= {result.metric_type for result in results}
    for result in results:
        assert data.model_name == metadata["name"]
        assert result.dataset_type in data.datasets
        assert (result.dataset_name, result.dataset_split) == (
            metadata["dataset"]["name"],
            "test",
        )


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.parent.name)
def test_the_hub_writes_what_it_read(path):
    """Nothing is lost or joined when the Hub's client changes one field."""
    data = hub.ModelCard.load(path).data
    again = hub.ModelCard(f"---\n{data.to_yaml()}\n---\n").data
    assert again.to_dict() == data.to_dict()
    assert again.eval_results == data.eval_results


def test_front_matter_is_up_to_date():
    stale = [
        path.parent.name
        for path in CARDS
        if path.read_text(encoding="utf-8")
        != with_front_matter(path.read_text(encoding="utf-8"), metadata_of(path))
    ]
    assert stale == [], "run python recipes/revise.py"


def test_new_numbers_replace_the_old():
    path = shipped_directory() / "atd_mitbih" / "README.md"
    text, metadata = path.read_text(encoding="utf-8"), metadata_of(path)
    metadata["baselines"]["released_weights"]["accuracy"] = 0.5
    assert in_card(text) != released(metadata)
    changed = with_front_matter(text, metadata)
    assert in_card(changed) == released(metadata)
    assert HEAD.sub("", changed) == HEAD.sub("", text)
    bare = with_front_matter(HEAD.sub("", text), metadata)
    assert bare == changed
