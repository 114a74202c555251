"""`mmfusion demo`: label the beats of the excerpt that ships with the package."""

from pathlib import Path

from keras_mmfusion.analysis.beat_comparison import CLASSES, compare
from keras_mmfusion.cli import _records
from keras_mmfusion.cli._outputs import staged
from keras_mmfusion.cli._progress import progress_bar
from keras_mmfusion.cli.annotate import check_picture, draw, duration_text
from keras_mmfusion.cli.evaluate import confusion_text

PRESET = "atd_mitbih"
# Made by recipes/mitbih/make_demo_excerpt.py.
EXCERPT = Path(__file__).parents[1] / "data" / "mitdb_213"
SOURCE = "MIT-BIH Arrhythmia Database (ODC-By 1.0), record 213, 340-490 s"


def add_parser(commands):
    parser = commands.add_parser(
        "demo",
        help="label a real excerpt and draw it",
        description="Label the beats of a real ECG excerpt (MIT-BIH Arrhythmia "
        "Database, a patient the model was not trained on), compare with the "
        "cardiologists' labels and draw a picture.",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("demo.png"),
        metavar="FILE",
        help="picture to write (default: %(default)s)",
    )
    parser.add_argument(
        "--force", action="store_true", help="replace the picture if it exists"
    )
    parser.set_defaults(run=run, preset=PRESET, causal=False)


def run(args):
    """Run the command; `args` are its parsed arguments."""
    from keras_mmfusion.datasets import read_wfdb

    check_picture(args.output, "ecg")
    with staged([args.output], args.force) as (part,):
        record = read_wfdb(EXCERPT, annotator="atr")
        bar = progress_bar("Labelling beats")
        labels = _records.load_model(args).predict_record(record, progress=bar)
        comparison = compare(record, labels)
        draw(record, labels, part, reference=comparison.reference)
    print(report(record, labels, comparison))
    print(f"\nWrote {args.output}")
    return 0


def report(record, labels, comparison):
    """What the model and the cardiologists say, as lines of text."""
    from keras_mmfusion import presets

    result = comparison.metrics()
    right = int(result.confusion.trace())
    total = int(result.support.sum())
    counts = labels.counts()
    known = presets.info(PRESET)["metrics"]["interpatient"]
    lines = [
        SOURCE,
        f"{duration_text(record.duration)}, leads {', '.join(labels.leads)}; a "
        "patient the model was not trained on",
        "",
        "Class   cardiologists   model      Se      +P  |  22 patients: Se      +P",
    ]
    for index, name in enumerate(CLASSES):
        here = (result.sensitivity[index], result.precision[index])
        overall = (known[f"{name}_{figure}"]["mean"] for figure in ("se", "ppv"))
        lines.append(
            f"  {name}     {int(result.support[index]):13,} {counts[name]:7,} "
            f"{percentages(here)}  |         {percentages(overall)}"
        )
    lines += [
        "",
        f"The 22 patients of DS2, {known['beats']['mean']:,.0f} beats, are those that "
        f"no model was trained on (mean of {known['accuracy']['n']}).",
        "Most of their fusion beats, F, are of the patient above. More: mmfusion "
        f"presets card {PRESET}",
        "",
        *confusion_text(comparison),
        "",
        f"Same label: {right:,} of {total:,} beats ({right / total:.1%})",
    ]
    return "\n".join(lines)


def percentages(values):
    return " ".join("      –" if v != v else f"{100 * v:6.1f}%" for v in values)
