"""Sections of our docstrings that mkdocstrings does not know, as Markdown.

`Args`, `Raises` and `Attributes` are left to it. `Returns` is not: it would read the
words before a colon as a type.
"""

import re
import textwrap

import griffe

TITLE = re.compile(
    r"(Call arguments|Input shape|Output shape|Reference|Returns|Yields|Example):\s*"
)
ENTRY = re.compile(r"(\*{0,2}[\w, ]+): (.*)")


class Sections(griffe.Extension):
    """Rewrites docstrings before they are parsed."""

    def on_object(self, *, obj, **kwargs):
        if obj.docstring:
            obj.docstring.value = rewrite(obj.docstring.value)


def rewrite(docstring):
    """Titles of sections in bold, with what is indented below them."""
    lines, written = docstring.expandtabs().split("\n"), []
    while lines:
        line = lines.pop(0)
        title = TITLE.fullmatch(line)
        if not title:
            written.append(line)
            continue
        body = []
        while lines and (not lines[0].strip() or lines[0].startswith(" ")):
            body.append(lines.pop(0))
        text = textwrap.dedent("\n".join(body)).strip("\n")
        if title[1] == "Call arguments":
            text = bullets(text)
        heading = f'<span class="doc-section-title">{title[1]}:</span>'
        written += ["", heading, "", text, ""]
    return "\n".join(written)


def bullets(text):
    """`name: description` as the items of a list, as those of `Args` are shown."""
    items = []
    for line in text.split("\n"):
        found = ENTRY.fullmatch(line)
        if found:
            items.append(f"- **`{found[1]}`** – {found[2]}")
        elif line.strip():
            items.append(f"    {line.strip()}")
    return "\n".join(items)
