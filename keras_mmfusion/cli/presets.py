"""`mmfusion presets`: list the trained models, describe one, check one."""

import json
import re
import sys

_NAME = "name, name@version, folder, https://…/NAME.zip#sha256=… or hf://ORG/REPO@REV"


def add_parser(commands):
    parser = commands.add_parser(
        "presets",
        help="list the trained models, describe one, check one",
        description="List the trained models, describe one, check one. Without ACTION, "
        "they are listed.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    listed = actions.add_parser(
        "list",
        help="list them (the default)",
        description="List the trained models that ship: inputs, sizes, main metric.",
    )
    _add_list_arguments(listed)
    info = actions.add_parser(
        "info",
        help="what is known about one",
        description="Describe a preset: inputs, outputs, data, metrics, recipe.",
    )
    info.add_argument("name", metavar="NAME", help=_NAME)
    info.add_argument("--json", action="store_true", help="all of it, as JSON")
    verify = actions.add_parser(
        "verify",
        help="whether files, parameters and outputs of presets are what they should be",
        description="Check that presets are as they were saved: the hashes of their "
        "files, the number of parameters, and the outputs for the inputs that they "
        "keep. The exit code is 2 if one is not.",
    )
    verify.add_argument(
        "names", metavar="NAME", nargs="*", help=f"{_NAME} (default: all that ship)"
    )
    card = actions.add_parser(
        "card",
        help="the card of one: results, limits, training",
        description="Print the card of a preset: results, limits, training.",
    )
    card.add_argument("name", metavar="NAME", help=_NAME)
    parser.set_defaults(run=run, pattern="*", task=None, modality=None, json=False)


def _add_list_arguments(parser):
    parser.add_argument(
        "pattern",
        metavar="PATTERN",
        nargs="?",
        default="*",
        help="of the names, such as 'atd_*' (default: all)",
    )
    parser.add_argument("--task", help="what it must be for, such as classification")
    parser.add_argument(
        "--modality", action="append", help="an input that it must take, such as ecg"
    )
    parser.add_argument("--json", action="store_true", help="as JSON")


def run(args):
    """Run the command; `args` are its parsed arguments."""
    return {"info": _info, "verify": _verify, "card": _card}.get(args.action, _list)(
        args
    )


def _list(args):
    from keras_mmfusion import presets

    table = presets.list(args.pattern, task=args.task, modality=args.modality)
    _print(table, args)


def _info(args):
    from keras_mmfusion import presets

    _print(presets.info(args.name), args)


def _verify(args):
    """One report each; those that fail do not keep the others from being checked."""
    from keras_mmfusion import presets
    from keras_mmfusion.presets._errors import PresetError

    failed = 0
    for name in args.names or [row["name"] for row in presets.list()]:
        try:
            print(presets.verify(name), flush=True)
        except PresetError as error:
            if len(args.names) == 1:
                raise
            failed += 1
            print(f"mmfusion: error: {name}: {error}", file=sys.stderr)
    return 2 if failed else 0


def _card(args):
    from keras_mmfusion.presets._errors import PresetError
    from keras_mmfusion.presets._metadata import printable
    from keras_mmfusion.presets._registry import find

    folder = find(args.name)
    if not folder.has("README.md"):
        raise PresetError(
            f"{folder.path} must have a card, README.md, and has none. "
            f"Try: mmfusion presets info {args.name}"
        )
    text = folder.read("README.md").decode("utf-8", "replace")
    # Front matter is for hubs; it says in YAML what the text says, too.
    text = re.sub(r"\A---\n.*?\n---\n+", "", text, flags=re.DOTALL)
    # A card may be from anywhere, and a terminal obeys some characters.
    print(printable(text), end="")


def _print(value, args):
    if args.json:
        # JSON has its own way to write what the reader's encoding has not.
        plain = not (sys.stdout.encoding or "utf-8").lower().startswith("utf")
        print(json.dumps(value, indent=2, ensure_ascii=plain, default=str))
    else:
        print(value)
