"""The command `mmfusion`: heart beats, digits, tables, and the presets for them."""

import argparse
import os
import sys
import warnings

from keras_mmfusion._version import __version__
from keras_mmfusion.cli._stopped import stopping as _stopping

_DESCRIPTION = """\
Trained multimodal models for heart beats, digits, tables, pictures and words.

  mmfusion demo                          labels a real excerpt and draws it
  mmfusion annotate 100                  beats are detected, then labelled
  mmfusion annotate ecg.csv --fs 250     the same from a table in mV
  mmfusion evaluate mitdb/1*.hea         compares with the cardiologists' labels
  mmfusion classify-digit 7.png 7.wav    names a digit that is seen, heard, or both
  mmfusion forecast load.csv --preset my_preset --plot load.png
                                         forecasts what follows a table
  mmfusion search "hot pepper" --images DIR
                                         finds pictures by words
  mmfusion caption-search chili.png      finds words for a picture
  mmfusion tune data.npz --output my_model
                                         searches a fusion for your own data
  mmfusion presets                       lists the trained models
  mmfusion presets info atd_mitbih       describes one; verify checks, card tells more
  mmfusion export atd_mitbih --format onnx --output atd_mitbih.onnx
                                         writes one to run without Keras

Not a medical device: for research and teaching only."""


class _Parser(argparse.ArgumentParser):
    """A parser that puts a wrong argument into one line, like all other errors."""

    def error(self, message):
        raise _UsageError(f"{message} (see: {self.prog} --help)")


class _UsageError(Exception):
    pass


def main(argv=None):
    """Run the command `mmfusion`.

    Args:
        argv: List of str. The arguments; defaults to those of the process.

    Returns:
        int. Exit code: 0, or 2 after an error, which is one line on stderr.

    Example:

    ```python
    from keras_mmfusion.cli import main

    main(["annotate", "mitdb/100", "--output-dir", "labels"])
    ```
    """
    if hasattr(sys.stdout, "reconfigure"):
        # As stderr does: what is not in the encoding of a pipe is shown as `\xb1`.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        args = _parser().parse_args(argv)
        _prepare_backend(args)
        with _stopping(), warnings.catch_warnings():
            if not sys.warnoptions:
                # Those of libraries about themselves; ours are printed.
                warnings.simplefilter("ignore")
            return args.run(args) or 0
    except BrokenPipeError:
        # The reader of our output (`| head`) has gone; that is no error of ours.
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
        return 0
    except KeyboardInterrupt:
        print("mmfusion: interrupted, nothing was written", file=sys.stderr)
        return 130
    except MemoryError as error:
        line = f"not enough memory: free some, or give less at a time. {error}".strip()
        print(f"mmfusion: error: {line}", file=sys.stderr)
        return 2
    except Exception as error:
        if not _is_expected(error):
            raise
        line = " ".join(str(error).split()) or type(error).__name__
        print(f"mmfusion: error: {line}", file=sys.stderr)
        return 2


def _parser():
    from keras_mmfusion.cli import (
        annotate,
        classify_digit,
        demo,
        evaluate,
        export,
        forecast,
        presets,
        search,
        tune,
    )

    parser = _Parser(
        prog="mmfusion",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--version", action="version", version=f"mmfusion {__version__}"
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    modules = (annotate, evaluate, demo, classify_digit, forecast, search, tune)
    for module in (*modules, presets, export):
        module.add_parser(commands)
    return parser


def _prepare_backend(args):
    from keras_mmfusion.cli._backend import BACKENDS, choose_backend, keep_compiled

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # A command that not every backend can do says which can.
    notice = choose_backend(args.backends(args) if "backends" in args else BACKENDS)
    keep_compiled()
    if notice:
        print(f"mmfusion: {notice}", file=sys.stderr)


def _is_expected(error):
    """Whether an error says what the user has to do; all others are our bugs."""
    from keras_mmfusion.datasets import RecordError

    expected = (_UsageError, RecordError, ImportError, OSError)
    # By name, because importing the presets imports Keras.
    names = {base.__name__ for base in type(error).__mro__}
    return isinstance(error, expected) or bool(names & {"PresetError", "ExportError"})
