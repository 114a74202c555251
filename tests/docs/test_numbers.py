"""Every measured number in the README, docs and cards is one of the zoo."""

import csv
import importlib
import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from keras_mmfusion.presets._registry import shipped_directory

ROOT = Path(__file__).resolve().parents[2]
ZOO = shipped_directory()
METADATA = {
    path.parent.name: json.loads(path.read_bytes())
    for path in sorted(ZOO.glob("*/metadata.json"))
}
TRAINED = {
    name: metadata
    for name, metadata in METADATA.items()
    if "model.weights.h5" in metadata["files"]
}
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
PAGES += [*sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("recipes/*/README.md"))]
SPREAD = re.compile(r"(?<![\w.])(\d+\.\d+) ± (\d+\.\d+)")
# A measured number has three decimals or more. Versions and seconds have fewer, and
# an arXiv number has four digits before them.
NUMBER = re.compile(r"(?<![\w.])[-+−]?\d{1,3}\.\d{3,}(?![\w.])")
GROUPED = re.compile(r"(?<![\w.,])\d{1,3}(?:,\d{3})+(?![\w,])")


def leaves(node):
    """Every number in parsed JSON."""
    if isinstance(node, dict):
        node = list(node.values())
    if isinstance(node, list):
        for item in node:
            yield from leaves(item)
    elif isinstance(node, (int, float)):
        yield node


def spreads(node):
    """Every `(mean, sd)`."""
    if isinstance(node, dict):
        if isinstance(node.get("mean"), (int, float)):
            yield node["mean"], node.get("sd")
        for item in node.values():
            yield from spreads(item)


def differences(metadata):
    """What a card may say of the gain over a baseline: difference, and its sd."""
    for ours in metadata["metrics"].values():
        for theirs in metadata["baselines"].get("same_run", {}).values():
            for key in set(ours) & set(theirs):
                a, b = ours[key], theirs[key]
                if isinstance(a, dict) and isinstance(b, dict):
                    yield abs(a["mean"] - b["mean"])
                    yield ((a["sd"] or 0) ** 2 + (b["sd"] or 0) ** 2) ** 0.5


def fits(text, values):
    """Whether a number that is written so is one of these, rounded."""
    text = text.replace("−", "-").replace(",", "")
    decimals = len(text.partition(".")[2])
    # The zoo has five decimals, which were rounded once themselves.
    margin = 0.5 * 10**-decimals + 1.1e-5
    return any(abs(abs(float(text)) - abs(v)) <= margin for v in values)


def wrong(text, metadata):
    """The numbers in a text that are not in the metadata of these presets."""
    pairs = [pair for m in metadata for pair in spreads(m)]
    known = [v for m in metadata for v in (*leaves(m), *differences(m))]
    bad = [
        f"{mean} ± {sd}"
        for mean, sd in SPREAD.findall(text)
        if not any(fits(mean, [m]) and fits(sd, [s or 0.0]) for m, s in pairs)
    ]
    rest = SPREAD.sub("", text)
    bad += [number for number in NUMBER.findall(rest) if not fits(number, known)]
    return bad


def without_code(text):
    return re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


def without_exports(text):
    """Without the table of exports, which is that of `docs/export.csv`: see below."""
    return re.sub(r"<!-- export:begin -->.*<!-- export:end -->", "", text, flags=re.S)


@pytest.mark.parametrize("name", METADATA)
def test_card(name):
    text = without_code((ZOO / name / "README.md").read_text(encoding="utf-8"))
    metadata = METADATA[name]
    assert SPREAD.search(text) or not metadata["metrics"]
    assert wrong(text, [metadata]) == []
    large = GROUPED.findall(text)
    assert f"{metadata['parameters']:,}" in large
    assert [n for n in large if not fits(n, leaves(metadata))] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_page(page):
    """Inside the generated tables, and outside of them."""
    text = without_exports(without_code(page.read_text(encoding="utf-8")))
    assert wrong(text, list(METADATA.values())) == []


def false_number():
    """The first share of four decimals that nothing in the zoo can be rounded to."""
    known = [v for m in METADATA.values() for v in (*leaves(m), *differences(m))]
    shares = (f"{tenthousandth / 1e4:.4f}" for tenthousandth in range(3000, 7000))
    return next(share for share in shares if not fits(share, known))


@pytest.mark.parametrize("text", ["| {} ± 0.0001 |", "an accuracy of {}", "by +{}"])
def test_a_false_number_is_found(text):
    assert wrong(text.format(false_number()), list(METADATA.values())) != []


def test_a_changed_digit_of_a_card_is_found():
    """In the cells of its tables, but for a few that become another cell."""
    found = []
    for name, metadata in METADATA.items():
        text = (ZOO / name / "README.md").read_text(encoding="utf-8")
        for mean, sd in SPREAD.findall(text):
            digit = "1" if mean[-2] != "1" else "2"
            other = f"{mean[:-2]}{digit}{mean[-1]} ± {sd}"
            found.append(wrong(other, [metadata]) != [])
    assert sum(found) >= 0.9 * len(found) > 0


def test_results():
    """`results.csv` and the metadata say the same."""
    with open(ZOO / "results.csv", encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["preset"]]
    assert {row["preset"] for row in rows} == set(TRAINED)
    for row in rows:
        metadata = METADATA[row["preset"]]
        value = metadata["metrics"][row["protocol"]][row["metric"]]
        sd = None if row["sd"] == "" else float(row["sd"])
        expected = {"mean": float(row["mean"]), "sd": sd, "n": int(row["n"])}
        assert value == expected, row
        released = metadata["baselines"]["released_weights"]
        # A preset that is measured by several protocols says it for each.
        released = released.get(row["protocol"], released)[row["metric"]]
        assert released == float(row["released"]), row


@pytest.fixture
def exports(monkeypatch):
    """The script that makes the table of exports."""
    monkeypatch.syspath_prepend(ROOT / "docs")
    return importlib.import_module("make_export_table")


def test_the_table_of_exports(exports):
    """The page is what the file says, and the file is of the present weights."""
    rows = exports.read_rows(exports.CSV)
    models = {name: exports.digest(metadata) for name, metadata in TRAINED.items()}
    page = exports.PAGE.read_text(encoding="utf-8")
    stale = exports.outdated(rows, models, page)
    assert stale == [], f"run python docs/make_export_table.py {' '.join(stale)}"


FINE = {"difference": "1.2e-07", "bytes": "611000", "milliseconds": "0.0493"}


def test_what_is_out_of_date_is_reported(exports):
    models = {name: exports.digest(metadata) for name, metadata in TRAINED.items()}
    rows = {
        (name, *pair): {**FINE, "preset": name, "model": model, "versions": "keras 3"}
        for name, model in models.items()
        for pair in exports.PAIRS
    }
    page = f"<!-- export:begin -->\n{exports.render(rows)}\n<!-- export:end -->"
    assert exports.outdated(rows, models, page) == []
    name = sorted(models)[0]
    changed = {"files": {**METADATA[name]["files"]}}
    changed["files"]["model.weights.h5"] = {"sha256": "0" * 64, "bytes": 1}
    others = {**models, name: exports.digest(changed)}
    assert exports.outdated(rows, others, page) == [name]
    assert exports.outdated(rows, {**models, "new": "0" * 12}, page) == ["new"]
    fewer = {key: row for key, row in rows.items() if key != (name, *exports.PAIRS[0])}
    assert exports.outdated(fewer, models, page) == [name, "docs/export.md"]
    digit = page.replace("0.049 ms", "0.048 ms", 1)
    assert exports.outdated(rows, models, digit) == ["docs/export.md"]


def test_cells_of_the_table_of_exports(exports):
    fine = {**FINE, "versions": "keras 3, litert 2"}
    rows = {
        ("some", "litert", "torch"): {**fine, "batch_size": "1"},
        ("some", "litert", "tensorflow"): {**fine, "batch_size": ""},
        ("some", "openvino", "tensorflow"): {**fine, "reason": "too | odd"},
    }
    text = exports.render(rows)
    assert (
        "| `some` | litert | 1e-07, 0.61 MB, 0.049 ms | no (1) "
        "| 1e-07, 0.61 MB, 0.049 ms, batch 1 |"
    ) in text
    assert "\n1. Keras has no LiteRT writer for JAX\n" in text
    assert "\n3. too | odd\n" in text
    assert text.endswith("With keras 3, litert 2.")
    assert exports.render({}) == "Nothing was exported yet."


def test_a_package_that_is_not_there_says_nothing_of_a_preset(exports, monkeypatch):
    row = {"format": "onnx", "versions": "", "missing": "onnx needs jax2onnx: pip …"}
    result = SimpleNamespace(stdout=json.dumps(row), returncode=0)
    monkeypatch.setattr(exports.subprocess, "run", lambda *_, **__: result)
    with pytest.raises(SystemExit, match="atd_mitbih: onnx needs jax2onnx"):
        exports.export("atd_mitbih", ["onnx"], "jax")


@pytest.mark.parametrize("name", TRAINED)
def test_figures_of_the_int8_file(name):
    """They are of the model that is there, and the float file scores as they do."""
    metadata = METADATA[name]
    facts = metadata.get("exports", {}).get("litert_int8")
    text = (ZOO / name / "README.md").read_text(encoding="utf-8")
    assert ("as a LiteRT file" in text) == (facts is not None)
    if facts is None:
        return
    for key, file in ("weights", "model.weights.h5"), ("config", "config.json"):
        assert facts[f"{key}_sha256"] == metadata["files"][file]["sha256"]
    assert facts["scores"]["int8"]["bytes"] < facts["scores"]["float32"]["bytes"]
    for key, value in facts["scores"]["float32"].items():
        released = metadata["baselines"]["released_weights"].get(key, value)
        # Three beats on the edge between two classes are .0005 of an F1 of V beats.
        assert value == pytest.approx(released, abs=5e-4), key
