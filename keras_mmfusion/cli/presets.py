"""`mmfusion presets`: list the trained models, or describe one."""

import json


def add_parser(commands):
    parser = commands.add_parser(
        "presets",
        help="list the trained models, or describe one",
        description="List the trained models, or describe one.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    actions.add_parser("list", help="list them (the default)")
    info = actions.add_parser("info", help="all that is known about one")
    info.add_argument("name", metavar="NAME")
    parser.set_defaults(run=run)


def run(args):
    """Run the command; `args` are its parsed arguments."""
    from keras_mmfusion import presets

    if args.action == "info":
        info = presets.info(args.name)
        print(json.dumps(info, indent=2, ensure_ascii=False, default=str))
    else:
        print(presets.list())
    return 0
