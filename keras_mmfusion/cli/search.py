"""`mmfusion search` and `caption-search`: pictures by words, words by a picture."""

from contextlib import nullcontext
from pathlib import Path

from keras_mmfusion.cli._outputs import staged
from keras_mmfusion.cli.annotate import check_picture
from keras_mmfusion.datasets import RecordError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff")


def add_parser(commands):
    search = commands.add_parser(
        "search",
        help="find pictures by words",
        description="Find the pictures of a folder, and of those below it, that fit "
        "some words best. Files that are no pictures are counted and left out.",
    )
    search.add_argument(
        "queries",
        nargs="+",
        metavar="TEXT",
        help="what to look for; each TEXT is a search of its own",
    )
    where = search.add_argument_group("where to look")
    where.add_argument("--images", type=Path, metavar="DIR", help="folder of pictures")
    where.add_argument(
        "--index",
        type=Path,
        metavar="FILE",
        help="keep the encoded pictures in this .npz file; if it is there, it is "
        "searched, and --images is not needed",
    )
    _add_common(search)
    search.set_defaults(run=run_search)
    captions = commands.add_parser(
        "caption-search",
        help="find words for a picture",
        description="Find the captions that fit a picture best, of those that the "
        "preset knows or of a file.",
    )
    captions.add_argument(
        "queries",
        nargs="+",
        type=Path,
        metavar="PICTURE",
        help="what to find words for; each PICTURE is a search of its own",
    )
    captions.add_argument(
        "--captions",
        type=Path,
        metavar="FILE",
        help="a text file, a caption in each line (default: those of the preset)",
    )
    _add_common(captions)
    captions.set_defaults(run=run_caption_search)


def _add_common(parser):
    parser.add_argument(
        "--preset",
        default="zoomshift_emoji_en",
        help="trained retriever to use, a name or a folder (default: %(default)s, "
        "which knows emoji; in Chinese: zoomshift_emoji_zh)",
    )
    parser.add_argument(
        "--k", type=int, default=8, help="answers to show (default: %(default)s)"
    )
    parser.add_argument(
        "--plot", type=Path, metavar="FILE", help="draw a contact sheet of them"
    )
    parser.add_argument(
        "--force", action="store_true", help="replace the sheet if it exists"
    )


def run_search(args):
    """Run the command; `args` are its parsed arguments."""
    check_picture(args.plot)
    _check_k(args.k)
    with _sheet(args) as parts:
        model = load_model(args.preset)
        check_known(model, args.preset, args.queries)
        index = image_index(model, args.images, args.index)
        try:
            found = model.search(args.queries, index, k=args.k)
        except ValueError as error:  # of an index that another preset made
            raise RecordError(str(error)) from error
        for query, answers in zip(args.queries, found, strict=True):
            _print(query, answers)
        _draw(parts, args.queries, found, _thumbnails)
    return _done(args)


def run_caption_search(args):
    """Run the command; `args` are its parsed arguments."""
    check_picture(args.plot)
    _check_k(args.k)
    with _sheet(args, reads=args.queries) as parts:
        model = load_model(args.preset)
        captions = read_captions(model, args.captions)
        if not model.preprocessor.tokenizer.knows(captions).any():
            check_known(model, args.preset, captions)
        index = model.index_texts(captions, names=captions)
        pictures = model.preprocessor.images(args.queries)
        found = model.search(pictures, index, k=args.k)
        for query, answers in zip(args.queries, found, strict=True):
            _print(query, answers)
        _draw(parts, pictures, found, list)
    return _done(args)


def load_model(preset):
    from keras_mmfusion import presets
    from keras_mmfusion.preprocessing import RetrievalPreprocessor

    model = presets.load(preset)
    if not isinstance(getattr(model, "preprocessor", None), RetrievalPreprocessor):
        raise RecordError(
            "Expected a preset that finds pictures and texts. "
            f"Received: {preset}. See: mmfusion presets list"
        )
    return model


def check_known(model, preset, texts):
    """Refuse texts of which no letter was learned, as of another script: chance."""
    known = model.preprocessor.tokenizer.knows(texts)
    strange = [
        text for text, is_known in zip(texts, known, strict=True) if not is_known
    ]
    if strange:
        raise RecordError(
            f"{preset} knows nothing in {', '.join(strange[:3])!r}. Choose words of "
            "its language, or another preset (--preset; see: mmfusion presets list)."
        )


def image_index(model, folder, file):
    """The index of a file that is there, or of the pictures of a folder."""
    from keras_mmfusion.models import RetrievalIndex

    if file is not None and file.suffix != ".npz":
        raise RecordError(f"An index is a .npz file. Received: {file}")
    if file is not None and file.exists():
        try:
            index = RetrievalIndex.load(file)
        except ValueError as error:
            raise RecordError(str(error)) from error
        print(f"{len(index)} pictures, as encoded in {file}")
        return index
    if folder is None or not folder.is_dir():
        raise RecordError(f"--images must be a folder of pictures. Received: {folder}")
    # Found out before the long work: whether it can be kept.
    with nullcontext([None]) if file is None else staged([file]) as (part,):
        index = _encode(model, folder)
        if part is not None:
            index.save(part)
    if file is not None:
        print(f"Wrote {file}")
    return index


def _encode(model, folder):
    from keras_mmfusion.preprocessing import read_pictures

    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)
    pictures, kept, broken = read_pictures(paths, model.preprocessor.image_size)
    if not len(kept):
        raise RecordError(
            f"Expected pictures ({', '.join(SUFFIXES)}) in {folder}. Received: "
            f"{len(broken)} that cannot be read, and no other."
        )
    print(f"{len(kept)} pictures in {folder}")
    if broken:
        first = ", ".join(str(path) for path in list(broken)[:3])
        print(f"{len(broken)} cannot be read and are left out: {first}")
    return model.index_images(pictures, names=[str(paths[i]) for i in kept])


def read_captions(model, file):
    """Captions of a file, a line each, or those of the preset; each once."""
    if file is None:
        if not model.preprocessor.captions:
            raise RecordError(
                "This preset has no captions of its own. Name a file: --captions FILE"
            )
        return list(model.preprocessor.captions)
    if not file.is_file():
        raise RecordError(f"No captions at {file}. Check the path and the name.")
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise RecordError(f"{file} must be UTF-8. Received: {error}.") from error
    captions = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not captions:
        raise RecordError(f"{file} must hold a caption in each line. Received: none.")
    return captions


def _check_k(k):
    if k < 1:
        raise RecordError(f"--k must be at least 1. Received: {k}")


def _sheet(args, reads=()):
    return staged([args.plot], args.force, reads) if args.plot else nullcontext([])


def _print(query, found):
    print(f"\n{query}")
    for rank, (name, value) in enumerate(
        zip(found.names, found.similarities, strict=True), start=1
    ):
        print(f"{rank:4d}  {value:6.3f}  {name}")


def _draw(parts, queries, found, items):
    if not parts:
        return
    from keras_mmfusion.analysis.contact_sheet import contact_sheet

    rows = [
        (
            query,
            [
                (item, f"{value:.2f}")
                for item, value in zip(items(f.names), f.similarities, strict=True)
            ],
        )
        for query, f in zip(queries, found, strict=True)
    ]
    contact_sheet(rows).savefig(parts[0])


def _thumbnails(names):
    """Pictures of files, or the name of one that is gone since it was encoded."""
    from keras_mmfusion.preprocessing import read_picture

    return [
        read_picture(name, 144) if Path(name).is_file() else f"{name} is gone"
        for name in names
    ]


def _done(args):
    if args.plot:
        print(f"\nWrote {args.plot}")
    return 0
