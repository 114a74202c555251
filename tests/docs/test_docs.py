"""The documentation runs, its links lead somewhere, and its numbers are the zoo's."""

import ast
import importlib
import importlib.util
import json
import os
import re
import textwrap
from dataclasses import is_dataclass
from pathlib import Path

import pytest
from backends import in_turn
from cli_fakes import RuleModel, copy_excerpt

import keras_mmfusion
from keras_mmfusion.datasets import read_wfdb
from keras_mmfusion.presets._registry import shipped_directory

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = Path(keras_mmfusion.__file__).parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md"))]
PAGES += sorted(ROOT.glob("recipes/*/README.md"))
FENCED = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
# What examples read, and the folders it has to be in.
DATA = {
    "load_mitbih": ["mitdb"],
    "load_mnist": ["mnist"],
    "load_fsdd": ["fsdd"],
    "load_digits": ["mnist", "fsdd"],
    "load_emoji": ["emoji"],
    "load_flickr30k": ["flickr30k"],
    "load_coco_cn": ["coco-cn-version1805v1.1"],
    "load_iemocap": ["IEMOCAP_full_release"],
    "load_msp_improv": ["MSP-IMPROV"],
}
PRESET = re.compile(r"""presets\.(?:load|info|verify)\(\s*["'](\w+)["']""")


def page_blocks():
    """Every python block of every page."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in FENCED.finditer(text):
            line = text[: match.start()].count("\n") + 1
            name = f"{page.relative_to(ROOT)}:{line}"
            yield pytest.param(match[1], id=name)


def docstring_blocks():
    """Examples of everything public."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        module = ".".join(parts).removesuffix(".__init__")
        for name, docstring in docstrings(ast.parse(path.read_text(encoding="utf-8"))):
            for block in FENCED.findall(textwrap.dedent(docstring)):
                yield pytest.param(block, id=f"{module}:{name}".rstrip(":"))


def docstrings(node, name=""):
    docstring = ast.get_docstring(node)
    if docstring:
        yield name, docstring
    for child in node.body:
        if isinstance(child, (ast.ClassDef, ast.FunctionDef)) and child.name[0] != "_":
            yield from docstrings(child, f"{name}.{child.name}".lstrip("."))


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch):
    """A folder with the records that the examples name; 100 is the demo's excerpt."""
    copy_excerpt(tmp_path / "mitdb", "100")
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def no_leftovers(monkeypatch):
    from keras_mmfusion.presets import _registry

    monkeypatch.setattr(_registry, "_registered", {})
    monkeypatch.setitem(os.environ, "MPLBACKEND", "agg")


def execute(code, namespace):
    for name in PRESET.findall(code):
        here = Path("runs", name)
        shipped = (shipped_directory() / name / "metadata.json").is_file()
        if not shipped and f'"runs/{name}"' not in code and not here.exists():
            pytest.skip(f"the preset {name} is not in the zoo yet")
    for function, folders in DATA.items():
        for folder in folders if f"{function}(" in code else ():
            if not Path(os.environ.get("KERAS_MMFUSION_DATA") or "?", folder).is_dir():
                pytest.skip(f"needs {folder} in KERAS_MMFUSION_DATA")
    try:
        exec(compile(code, "<example>", "exec"), namespace)
    except ImportError as error:
        # The packages of an extra; any other import has to work.
        if "pip install" not in str(error):
            raise
        pytest.skip(str(error))


@pytest.mark.parametrize("code", in_turn(page_blocks()))
def test_page(code):
    execute(code, {"__name__": "__example__"})


@pytest.mark.parametrize("code", in_turn(docstring_blocks()))
def test_docstring(code):
    """An example imports all that it needs, but for what it goes on from."""
    namespace = {"__name__": "__example__"}
    if re.search(r"\b(records?|labels|model)\b", code):
        # A model, a recording and its labelled beats.
        record = read_wfdb("mitdb/100", annotator="atr")
        labels = RuleModel().predict_record(record)
        namespace |= {"model": RuleModel(), "records": [record]}
        namespace |= {"record": record, "labels": labels}
    execute(code, namespace)


def test_everything_public_has_an_example():
    """Functions and classes, but for errors and for what functions return."""
    missing = []
    for name in keras_mmfusion.__all__[1:]:
        module = importlib.import_module(f"keras_mmfusion.{name}")
        for key, value in vars(module).items():
            ours = getattr(value, "__module__", "").startswith("keras_mmfusion.")
            if key[0] == "_" or not callable(value) or not ours:
                continue
            if is_dataclass(value) or issubclass_of(value, Exception):
                continue
            if "```python" not in (value.__doc__ or ""):
                missing.append(f"{name}.{key}")
    assert missing == []


def issubclass_of(value, base):
    return isinstance(value, type) and issubclass(value, base)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links(page):
    text = page.read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    local = [t.split("#")[0] for t in targets if "://" not in t and t[0] != "#"]
    assert [t for t in local if not (page.parent / t).exists()] == []


def make_results():
    path = ROOT / "docs" / "make_results.py"
    spec = importlib.util.spec_from_file_location("make_results", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_tables_are_up_to_date():
    changed = make_results().outdated(ROOT)
    names = [str(path.relative_to(ROOT)) for path in changed]
    assert names == [], "run python docs/make_results.py"


def test_tables_from_a_zoo(tmp_path):
    module = make_results()
    accuracy = {"mean": 0.95641, "sd": 0.0041, "n": 5}
    metadata = {
        "name": "some",
        "parameters": 1234,
        "files": {"model.weights.h5": {"bytes": 1_500_000}},
        "inputs": {"ecg": {}, "rhythm": {}},
        "dataset": {"split": "DS1 to DS2"},
        "metrics": {"interpatient": {"accuracy": accuracy, "S_f1": 0.5}},
        "baselines": {
            "same_run": {
                "concat": {"accuracy": {"mean": 0.94, "sd": None, "n": 5}},
                "ecg": {"accuracy": {"mean": 0.93, "sd": 0.01, "n": 5}},
            },
            "subsets_of_modalities": {"rhythm": {"accuracy": 0.875}},
        },
        "paper": {"accuracy": 0.989},
    }
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "metadata.json").write_text(json.dumps(metadata))
    presets = module.read_zoo(tmp_path)
    row = module.overview(presets).split("\n")[2]
    assert row == (
        "| [`some`](zoo/some/README.md) | `interpatient` | 1,234 | 1.5 MB "
        "| 0.956 ± 0.004 | 0.500 |"
    )
    text = module.comparisons(presets)
    assert "Test data: DS1 to DS2." in text
    assert "| **some** | 0.956 ± 0.004 | 0.500 |" in text
    assert "| concat, all modalities | 0.940 |  |" in text
    assert "| ecg alone | 0.930 ± 0.010 |  |" in text
    assert "In the paper: accuracy 0.989" in text
    # As of a class that neither occurs nor is predicted, and of a single seed.
    unknown = {"mean": None, "sd": None, "n": 1}
    assert module.number(unknown) == module.number(None) == ""
    unknown = {**metadata, "metrics": {"i": {"macro_f1": unknown}}}
    unknown["recipe"] = {"command": "train.py --fusion atd"}
    unknown["baselines"] = {"same_run": {"concat": {"macro_f1": accuracy}}}
    assert module.beside_concat([unknown]) == module.NONE_YET
    assert "over 5 models, trained with other seeds" in text
    assert "| rhythm | 0.875 |" in module.subsets(presets, "some")
    assert module.subsets(presets) == module.NONE_YET
    assert module.overview([]) == module.comparisons([]) == module.NONE_YET
    with pytest.raises(ValueError, match="results:begin"):
        module.replace_block("no markers", "results", "")


def test_the_page_of_benchmarks(monkeypatch):
    """Tables and chart are those of the CSV files, and goals are judged by them."""
    monkeypatch.syspath_prepend(ROOT / "docs")
    module = importlib.import_module("make_benchmarks")
    text = module.PAGE.read_text(encoding="utf-8")
    results = module.read(module.FOLDER)
    assert module.page(text, results) == text
    assert module.digest(module.FOLDER) in module.CHART.read_text(encoding="utf-8")

    row = {"fusion": "mult", "backend": "jax", "call": "step", "ms": "100"}
    row |= {"ratio": "0.3", "reference": "original MulT", "reference_ms": "300"}
    other = row | {"ratio": "0.1", "reference": "another MulT"}
    grown = {"backend": "torch", "call": "step", "growth": "3.9"}
    made = {"fusions": [other, row]}
    made["attention_memory"] = [grown, grown | {"backend": "jax"}]
    made["pictures"] = [{"picture": "GASF", "backend": "torch", "ratio": "0.25"}]
    loop = {"inputs": "image and sound", "backend": "jax", "call": "step"}
    loop |= {"model": "ConvLSTMFusion", "ratio": "0.05", "reference": "ConvLSTM2D"}
    other = loop | {"reference": "ConvLSTM2D, unrolled", "ratio": "2"}
    unrolled = loop | {"model": "ConvLSTM2D, unrolled", "ratio": "1"}
    made["conv_lstm"] = [loop, unrolled, other]
    made["conv_lstm_paper"] = [loop | {"ratio": "0.41"}]
    lines = module.goals(made).split("\n")
    assert (
        "| MulT, beside the original: training step | ≤ 0.33 |  | 0.30 met |  |"
        in lines
    )
    last = "memory of attention when steps double: training step"
    assert lines[-1] == f"| {last} | ≤ 2.50 |  | 3.90 (no such kernel) | 3.90 missed |"
    assert "| ≤ 0.20 |  |  | 0.25 missed |" in lines[6]
    assert "training step | ≤ 0.33 |  | 0.05 met |  |" in lines[8]
    assert "training step | ≤ 0.33 |  | 0.41 missed |  |" in lines[10]
    # 12 matrices of 30 × 30 in each of 30 blocks and of 60 × 60 in each of 15, products
    # of queries and keys, projections and read-out: by hand.
    tokens = 1024 * (30 * (12 * 900 + 1920) + 15 * (12 * 3600 + 3840) + 27_000)
    assert module.mult_flop(32) == 6 * (tokens + 32 * (2 * 180**2 + 180 * 300))
    assert "(6.87 in the original" in module.arithmetic([row])
    worse = {**results, "fusions": [r | {"ms": "1e9"} for r in results["fusions"]]}
    assert module.page(text, worse) != text


def test_the_command_for_tests_is_written_once():
    """`.ci/run` takes the line after this marker."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = re.findall(r"<!-- ci: test -->\n```bash\n(.*)\n```", text)
    assert len(lines) == 1
    assert lines[0].startswith("pip install ") and lines[0].endswith("pytest")


@pytest.mark.parametrize("page", ["README.md", "docs/quickstart.md"])
def test_the_backend_is_named_before_the_first_import(page):
    """With JAX or PyTorch alone, Keras stops for want of TensorFlow."""
    text = (ROOT / page).read_text(encoding="utf-8").split("```python")[0]
    assert "\nexport KERAS_BACKEND=jax" in text and 'pip install ".[jax,' in text


def test_the_version_is_the_same_everywhere():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    version = keras_mmfusion.__version__
    assert f"\nversion: {version}\n" in citation
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_lazy_exports():
    assert set(keras_mmfusion.__all__) <= set(dir(keras_mmfusion))
    for name in keras_mmfusion.__all__[1:]:
        module = getattr(keras_mmfusion, name)
        assert module is importlib.import_module(f"keras_mmfusion.{name}")
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = keras_mmfusion.nothing
