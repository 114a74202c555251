"""What MkDocs does not do by itself for the documentation site, see mkdocs.yml.

Pages are written for readers of the repository, where links lead from `docs/` into
`zoo/` and `recipes/`. Here the pages that are linked become pages of the site, other
files are copied, and the links are rewritten.
"""

import os
import posixpath
import re
from pathlib import Path

import site_pages
from latex2mathml.converter import convert
from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"(\]\()([^)\s#]+)([^)\s]*\))")
UNBROKEN = re.compile(r" ± |≤ (?=\d)|(?<=\d) /(?= \d)|(?<=\d) [kM]?B\b")
PICTURE = re.compile(r'(<img [^>]*src="([^"]+)"[^>]*>)')
FENCED = re.compile(r"^( *)(```+|~~~+)[^\n]*\n.*?^\1\2 *$", re.MULTILINE | re.DOTALL)
# Pages of the site that are not in docs/: address to file in the repository.
_pages = {}


def on_config(config):
    """Navigation of the pages that are made here, and formulas as MathML."""
    _pages.clear()
    _pages.update(linked_pages())
    made = {
        "Zoo": ["zoo/index.md", *listed("zoo")],
        "Recipes": listed("recipes"),
        "Project": list(_pages)[:3],
        "API": ["api/index.md", *(f"api/{name}.md" for name in site_pages.MODULES)],
    }
    config.nav = fill(config.nav, made)
    named = set(entries(config.nav))
    guides = next(item["Guides"] for item in config.nav if "Guides" in item)
    pages = sorted(path.name for path in (ROOT / "docs").glob("*.md"))
    guides += [name for name in pages if name not in named]
    # A fence named "math" is a formula on code hosts, too.
    fence = {"name": "math", "class": "formula", "format": formula}
    config.mdx_configs.setdefault("pymdownx.superfences", {})["custom_fences"] = [fence]
    return config


def on_files(files, config):
    """The pages of zoo/, recipes/ and the API, and the files that pages link to."""
    for address, text in site_pages.made(ROOT).items():
        files.append(File.generated(config, address, content=text))
    for address, source in _pages.items():
        files.append(File.generated(config, address, abs_src_path=ROOT / source))
    for file in list(files.documentation_pages()):
        source = source_of(file.src_uri)
        text = FENCED.sub("", file.content_string) if source else ""
        for _, target, _ in LINK.findall(text):
            address = address_of(target, source)
            if address and files.get_file_from_path(address) is None:
                add(files, config, address, repository_path(target, source))
    return files


def on_page_markdown(markdown, page, config, files):
    """Links of the repository as links of the site."""
    source = source_of(page.file.src_uri)
    if source is None:
        return markdown
    here = posixpath.dirname(page.file.src_uri)

    def rewrite(match):
        address = address_of(match[2], source)
        if address is None:
            return match[0]
        return f"{match[1]}{posixpath.relpath(address, here or '.')}{match[3]}"

    parts, end = [], 0
    for code in FENCED.finditer(markdown):
        parts += [LINK.sub(rewrite, markdown[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*parts, LINK.sub(rewrite, markdown[end:])])


def on_page_content(html, page, config, files):
    """Pictures open by themselves, to be enlarged; lines do not break in a value."""
    html = PICTURE.sub(r'<a href="\2">\1</a>', html)
    return UNBROKEN.sub(lambda found: found[0].replace(" ", "\N{NO-BREAK SPACE}"), html)


def formula(source, language, css_class, options, md, **kwargs):
    """A fence of LaTeX as MathML, which browsers draw without a script."""
    return f'<div class="{css_class}">{convert(source, display="block")}</div>'


# Where a file of the repository is on the site.


def linked_pages():
    """`{address on the site: file in the repository}` of pages beside docs/."""
    names = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
    pages = {f"project/{name.lower()}": name for name in names}
    for folder in ("zoo", "recipes"):
        for path in sorted(ROOT.glob(f"{folder}/*/README.md")):
            name = path.parent.name
            pages[f"{folder}/{name}/index.md"] = f"{folder}/{name}/README.md"
    return pages


def source_of(address):
    """Where a page of the site stands in the repository; None if it is made here."""
    if address in _pages:
        return _pages[address]
    path = f"docs/{address}"
    return path if (ROOT / path).is_file() else None


def repository_path(target, source):
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), target))


def address_of(target, source):
    """The address on the site of what a page links to; None if it is not a file."""
    path = repository_path(target, source)
    if "://" in target or path.startswith("..") or not (ROOT / path).exists():
        return None
    if (ROOT / path).is_dir():
        readme = f"{path}/README.md"
        path = readme if (ROOT / readme).is_file() else f"{path}/index.md"
    if path == "zoo/README.md":
        return "zoo/index.md"
    found = [address for address, source in _pages.items() if source == path]
    return found[0] if found else path.removeprefix("docs/")


def add(files, config, address, path):
    """A file that a page links to; of a folder, a page that lists its files."""
    if (ROOT / path).is_dir():
        names = sorted(name for name in os.listdir(ROOT / path) if name[0] not in "._")
        text = "\n".join([f"# {path}", "", *(f"- [{n}]({n})" for n in names), ""])
        files.append(File.generated(config, address, content=text))
    else:
        files.append(File.generated(config, address, abs_src_path=ROOT / path))


# Navigation.


def listed(folder):
    return [address for address in _pages if address.startswith(f"{folder}/")]


def fill(nav, made):
    """`nav` with the pages made here in place of the empty sections of these names."""
    filled = []
    for item in nav:
        if isinstance(item, dict):
            (title, content), *_ = item.items()
            content = made.get(title) or content
            if isinstance(content, list):
                content = fill(content, made)
            item = {title: content}
        filled.append(item)
    return filled


def entries(nav):
    """The addresses of all pages of a navigation."""
    for item in nav:
        if isinstance(item, dict):
            (item,) = item.values()
        if isinstance(item, str):
            yield item
        else:
            yield from entries(item)
