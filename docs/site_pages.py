"""Pages of the documentation site that are made of the zoo and of the package."""

import ast
import re

import make_results

PACKAGE = "keras_mmfusion"
# Names of subpackages, with what their pages are called.
MODULES = {
    "layers": "Layers",
    "models": "Models",
    "presets": "Presets",
    "preprocessing": "Preprocessing",
    "datasets": "Datasets",
    "metrics": "Metrics",
    "analysis": "Analysis",
    "tuning": "Tuning",
    "distribution": "Distribution",
    "export": "Export",
}
HEAD = ["preset", "task", "modalities", "parameters", "size", "protocol"]
HEAD += ["main metric", "value", "licence of the data"]
NUMBERS = ("parameters", "size", "value")


def made(root):
    """`{address: Markdown}` of all of them."""
    pages = {"zoo/index.md": zoo(root / "zoo"), "api/index.md": contents(root)}
    formulas = headings(root / "docs" / "fusions.md")
    for name, title in MODULES.items():
        pages[f"api/{name}.md"] = module(root, name, title, formulas)
    return pages


# The zoo.


def zoo(folder):
    rows = [row(preset) for preset in make_results.read_zoo(folder)]
    lines = make_results.table(HEAD, rows).split("\n")
    lines[1] = f"| {' | '.join('--:' if name in NUMBERS else '---' for name in HEAD)} |"
    table = "\n".join(lines)
    about = (folder / "README.md").read_text(encoding="utf-8").partition("\n")[2]
    return f"""---
hide: [toc]
---

# Zoo

What is trained, on what, and how well. A click on a heading sorts the table. Values
are means ± standard deviations over models trained with other seeds, where several
were trained; lower is better for errors (MSE). Values of unlike tasks, data or
protocols do not compare: the cards have the baselines that do.

<div class="sortable" markdown>

{table}

</div>

## What a preset is made of
{about}"""


def row(preset):
    name, size = preset["name"], sum(f["bytes"] for f in preset["files"].values())
    key, value = main_metric(preset)
    trained = make_results.is_trained(preset)
    return [
        f"[`{name}`]({name}/index.md)",
        preset["task"],
        ", ".join(preset["inputs"]),
        f"{preset['parameters']:,}",
        f"{size / 1e6:.1f} MB" if trained else "no weights",
        make_results.protocol(preset) if preset["metrics"] else "",
        make_results.METRICS.get(key, key),
        make_results.number(value),
        preset["dataset"]["license"],
    ]


def main_metric(preset):
    """The first metric of the metadata, as `presets.list` has it."""
    metrics = preset["metrics"]
    for value in metrics.values():
        if isinstance(value, dict) and "mean" not in value:
            metrics = value
        break
    return next(iter(metrics.items()), ("", None))


# The API.


def contents(root):
    """The first page of the API: modules, and what is in them."""
    lines = ["# API", "", "| module | holds |", "| --- | --- |"]
    for name in MODULES:
        path = root / PACKAGE / name / "__init__.py"
        doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        first = doc.partition("\n")[0]
        lines.append(f"| [`{PACKAGE}.{name}`]({name}.md) | {first} |")
    lines += ["", "The command `mmfusion` says what it can do by `mmfusion --help`."]
    return "\n".join([*lines, ""])


def module(root, name, title, formulas):
    """A page with every public name of a module."""
    folder, path = root / PACKAGE / name, f"{PACKAGE}.{name}"
    names = exported(folder / "__init__.py")
    lines = [f"# {title}", "", f"`{path}`", ""]
    for key in names:
        lines += entry(f"{path}.{key}", formulas.get(key))
    # What is public in a public file, and not exported by the package.
    for file in sorted(folder.glob("[!_]*.py")):
        rest = [key for key in defined(file) if key not in names]
        if rest:
            lines += [f"## {path}.{file.stem}", ""]
        for key in rest:
            lines += entry(f"{path}.{file.stem}.{key}", None, level=3)
    return "\n".join(lines)


def entry(name, anchor, level=2):
    lines = [f"::: {name}", "    options:", f"      heading_level: {level}"]
    if name.startswith(f"{PACKAGE}.models."):
        lines += ["      inherited_members: true"]
    lines += [""]
    if anchor:
        short = name.rpartition(".")[2]
        link = f"[Formulas of {short}, with the equations of the paper]"
        lines += [f"{link}(../fusions.md#{anchor})", ""]
    return lines


def exported(path):
    """`__all__`, else the names that are imported as themselves."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "__all__":
            return ast.literal_eval(node.value)
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    aliases = [alias for node in imports for alias in node.names]
    return [alias.name for alias in aliases if alias.asname == alias.name]


def defined(path):
    """Public classes and functions of a file that have a docstring."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    kinds = (ast.ClassDef, ast.FunctionDef)
    return [
        node.name
        for node in body
        if isinstance(node, kinds) and node.name[0] != "_" and ast.get_docstring(node)
    ]


def headings(page):
    """`{name: anchor}` of the sections of a page that are called like a class."""
    found = re.findall(r"^## (\w+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {name: name.lower() for name in found}
