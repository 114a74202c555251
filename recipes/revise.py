"""Change what a preset says of itself, not what it computes.

python recipes/revise.py     # the front matter of all cards, as front_matter.py has it
"""

import copy
import json

import common
from front_matter import with_front_matter

from keras_mmfusion.presets import _json, _metadata
from keras_mmfusion.presets._folder import METADATA, describe

CARD = "README.md"


def revise(folder, changes, files):
    """Write new fields of the metadata and new files; weights and config stay.

    Args:
        folder: `Path` of the preset.
        changes: dict of fields of `metadata.json` to replace.
        files: dict of bytes by file name, such as the card. If it had front matter,
            that is made anew.
    """
    metadata = {**json.loads((folder / METADATA).read_bytes()), **changes}
    order = [key for key in _metadata.KEYS if key in metadata]
    metadata = {key: metadata[key] for key in order}
    card = (folder / CARD).read_bytes()
    if card.startswith(b"---\n"):
        card = files.get(CARD, card).decode("utf-8")
        files = {**files, CARD: with_front_matter(card, metadata).encode("utf-8")}
    # Whatever is wrong with them shows before anything is written.
    _metadata.parse(_json.dump(metadata, METADATA), METADATA)
    for name, content in files.items():
        (folder / name).write_bytes(content)
        metadata["files"][name] = describe(folder / name)
    (folder / METADATA).write_bytes(_json.dump(metadata, METADATA))


def add_baselines(folder, groups, blocks, note):
    """Put models that were trained and scored after a release beside the others.

    Args:
        folder: `Path` of the preset.
        groups: dict, a group of the baselines to `{model: spreads}`.
        blocks: Functions of the metadata, each of which gives a part of the card, the
            table of the models first.
        note: str, a sentence on these models, to stand under the table.
    """
    metadata = json.loads((folder / METADATA).read_bytes())
    baselines = copy.deepcopy(metadata.get("baselines", {}))
    for group, models in groups.items():
        baselines.setdefault(group, {}).update(models)
    retell(folder, baselines, blocks, note)


def retell(folder, baselines, blocks, note=""):
    """Replace the baselines in the metadata, and what the card says of them.

    Args:
        folder: `Path` of the preset.
        baselines: dict, the new field of the metadata.
        blocks: Functions of the metadata, each of which gives a part of the card.
        note: str, a sentence to stand under the first part, once. Defaults to `""`.
    """
    metadata = json.loads((folder / METADATA).read_bytes())
    changed = {**metadata, "baselines": baselines}
    card = (folder / CARD).read_text(encoding="utf-8")
    below = "" if note in card else f"\n{note}\n"
    for block in blocks:
        old, new = block(metadata), block(changed)
        if old == new:
            continue
        if card.count(old) != 1:
            raise SystemExit(
                f"{folder / CARD} must have what its metadata say once. Received: "
                f"{card.count(old)} times: {old[:60]!r} … Release it anew."
            )
        card = card.replace(old, new + below)
        below = ""
    revise(folder, {"baselines": baselines}, {CARD: card.encode("utf-8")})


def came_later(names, runs):
    """The sentence on models that were trained after a release."""
    models = listed(f"`{name}`" for name in names)
    commands = listed(f"`{run['command']}`" for run in runs)
    return (
        f"{models} came later, with the same seeds and settings: {commands}, commit "
        f"{runs[0]['commit']}."
    )


def listed(names):
    """`a, b and c`."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def main():
    for path in sorted(common.ZOO.glob(f"*/{METADATA}")):
        card = (path.parent / CARD).read_text(encoding="utf-8")
        text = with_front_matter(card, json.loads(path.read_bytes()))
        revise(path.parent, {}, {CARD: text.encode("utf-8")})


if __name__ == "__main__":
    common.as_command(main)
