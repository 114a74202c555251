"""A preset folder out of a .zip file, and nothing but a preset folder."""

import shutil
import stat
import struct
import zipfile
import zlib

from keras_mmfusion.presets import _json, _metadata
from keras_mmfusion.presets._errors import PresetError
from keras_mmfusion.presets._folder import METADATA, PresetFolder

MAX_FILES = 100
# Weights hardly get smaller by compression: what unpacks to more is no preset.
MAX_RATIO = 50
FREE_BYTES = 64 * 2**20
MAX_BYTES = 8 * 2**30
# What zipfile raises for broken fields.
_BROKEN = (EOFError, RuntimeError, ValueError, struct.error)


def unpack(path, folder, what):
    """Unpack a preset into a new folder.

    The files must lie at the top of the archive, or in one folder, and be those that
    `metadata.json` lists, of the size that it says. This is known before any is
    written, and no name in the archive becomes a path.

    Args:
        path: `Path` of the .zip file.
        folder: `Path` of the folder, which must be empty.
        what: str. Where the archive is from, for error messages.

    Raises:
        PresetError: It is no .zip file, or holds something else.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(archive.infolist())
            _check_total(members.values(), path.stat().st_size)
            _check_listed(archive, members)
            for name, member in members.items():
                with archive.open(member) as source, open(folder / name, "xb") as file:
                    shutil.copyfileobj(source, file)
        PresetFolder(folder).check_files()
    except PresetError as error:
        raise PresetError(f"The archive {what}: {error}") from error
    except (zipfile.BadZipFile, zlib.error, *_BROKEN) as error:
        raise PresetError(
            f"The archive {what} must be a .zip file of a preset folder. "
            f"Received: {error}. `python -m zipfile -c NAME.zip FOLDER/` writes one."
        ) from error


def _members(infos):
    """`{name of a file: entry}`, each of them a plain file in one folder."""
    if len(infos) > MAX_FILES:
        raise PresetError(
            f"It must hold at most {MAX_FILES} files. Received: {len(infos):,}. "
            "It is not a preset."
        )
    members, folders = {}, set()
    for info in infos:
        name = info.orig_filename
        *above, last = name.removesuffix("/").split("/")
        kind = stat.S_IFMT(info.external_attr >> 16)
        is_folder = name.endswith("/") and not above
        if kind not in (0, stat.S_IFDIR if is_folder else stat.S_IFREG):
            _refuse(f"{name!r}, a link or special file")
        if len(above) > 1 or (name.endswith("/") and above):
            _refuse(f"{name!r}")
        for part in (*above, last):
            if not _is_plain(part):
                _refuse(f"{name!r}")
        if info.flag_bits & 0x1:
            _refuse(f"{name!r}, which is encrypted")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            _refuse(f"{name!r}, compressed by an unusual method")
        folders.add(last if is_folder else "/".join(above))
        if is_folder:
            continue
        if last in members:
            _refuse(f"{name!r} twice")
        members[last] = info
    if len(folders) > 1:
        _refuse(f"the folders {sorted(folders)}")
    return members


def _is_plain(name):
    try:
        _metadata.check_name(name, "")
    except PresetError:
        return False
    return True


def _check_total(members, packed):
    total = sum(member.file_size for member in members)
    limit = min(MAX_BYTES, FREE_BYTES + MAX_RATIO * packed)
    if total > limit:
        raise PresetError(
            f"Of {packed:,} bytes, it must not unpack to more than {limit:,} bytes. "
            f"Received: {total:,} bytes. It is not a preset; do not unpack it."
        )


def _check_listed(archive, members):
    if METADATA not in members:
        raise PresetError(
            f"It must hold a preset folder with a {METADATA}. "
            f"Received: {sorted(members)}"
        )
    if members[METADATA].file_size > _json.MAX_BYTES:
        _refuse(f"a {METADATA} of {members[METADATA].file_size:,} bytes")
    metadata = _metadata.parse(archive.read(members[METADATA]), METADATA)
    listed = {name: entry["bytes"] for name, entry in metadata["files"].items()}
    held = {n: info.file_size for n, info in members.items() if n != METADATA}
    if listed != held:
        names = sorted(n for n in {*listed, *held} if listed.get(n) != held.get(n))
        raise PresetError(
            f"It must hold the files that its {METADATA} lists, in their size. "
            f"Received: other ones in {names}. Pack a folder as `presets.save` left it."
        )


def _refuse(received):
    raise PresetError(
        f"It must hold plain files in one folder, as `presets.save` writes them. "
        f"Received: {received}. Nothing was unpacked; do not use this archive."
    )
