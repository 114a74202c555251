"""`mmfusion export`: write a preset to a file that runs without Keras."""

from pathlib import Path

from keras_mmfusion import _export_formats as _formats


def add_parser(commands):
    parser = commands.add_parser(
        "export",
        help="write a preset to a file that runs without Keras",
        description="Write a preset to a file that runs without Keras, run it, and "
        "compare its outputs with those of the Keras model, with all inputs and with "
        "parts of them missing. Nothing is written if they differ.",
        epilog="Formats: onnx (.onnx), litert (.tflite, without Flex operations), "
        "openvino (.xml and .bin), tf_saved_model (a folder). Which backend can write "
        "which: docs/export.md. KERAS_BACKEND chooses one.",
    )
    parser.add_argument("preset", metavar="PRESET", help="name or folder of a preset")
    parser.add_argument(
        "--format", required=True, choices=list(_formats.FORMATS), help="what to write"
    )
    parser.add_argument(
        "--output", required=True, type=Path, metavar="PATH", help="where to write it"
    )
    parser.add_argument(
        "--batch-size",
        type=int,
        metavar="N",
        help="samples that the file takes at once (default: any number, where the "
        "backend can write that)",
    )
    parser.add_argument(
        "--weights",
        choices=["float32", "int8"],
        default="float32",
        help="int8: a LiteRT file of half the size, written by TensorFlow, whose "
        "outputs may differ by 0.05 (default: float32)",
    )
    parser.add_argument(
        "--force", action="store_true", help="replace the output if it exists"
    )
    parser.set_defaults(run=run, backends=backends)


def backends(args):
    """Backends that can write the format; first those with all packages there."""
    if args.weights == "int8":
        return ["tensorflow"]
    writers = _formats.FORMATS[args.format].writers
    lacking = {name: _formats.missing_packages(writers[name]) for name in writers}
    return sorted(writers, key=lambda name: bool(lacking[name]))


def run(args):
    """Run the command; `args` are its parsed arguments."""
    from keras_mmfusion.export import export_preset

    report = export_preset(
        args.preset,
        args.output,
        format=args.format,
        batch_size=args.batch_size,
        weights=args.weights,
        overwrite=args.force,
    )
    print(report)
    return 0
