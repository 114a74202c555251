"""Presets from a web server: `https://…/name.zip#sha256=…`."""

import contextlib
import hashlib
import json
import re
import shutil
import uuid
import warnings
from urllib.parse import urlsplit

from keras_mmfusion.presets import _archive, _cache, _download
from keras_mmfusion.presets._errors import PresetError
from keras_mmfusion.presets._folder import METADATA, PresetFolder

_HASH = re.compile(r"sha256=([0-9a-fA-F]{64})")
_SOURCE = "source.json"


def fetch(address):
    """The folder of the preset at an address, from the cache or the network.

    A folder in the cache is named by the hash of its archive, and comes there by a
    single rename, so that it is whole or not there. It is checked each time: a
    damaged one is downloaded again.

    Args:
        address: str. `https://…/name.zip#sha256=…`.

    Returns:
        `Path` of the folder.

    Raises:
        PresetError: The address has no hash, the download fails, or what comes is
            not a preset.
    """
    url, sha256 = parse(address)
    entry = _cache.directory() / sha256
    if (folder := _usable(entry)) is not None:
        return folder
    with (
        _cache.explained(f"The preset of {url}"),
        _cache.locked(entry.with_suffix(".lock")),
    ):
        # Another process may have been faster.
        if (folder := _usable(entry)) is None:
            folder = _fetch(url, sha256, entry)
    return folder


def parse(address):
    """Split an address into that of the archive and its hash."""
    url, _, fragment = address.partition("#")
    _download.check_address(url)
    found = _HASH.fullmatch(fragment)
    if found is None:
        name = urlsplit(url).path.rpartition("/")[2] or "name.zip"
        raise PresetError(
            "A preset from the web must be given with the SHA-256 of its archive, as "
            f"{url}#sha256=<64 hexadecimal digits>. Received: {address!r}. Its author "
            f"gets it by `sha256sum {name}`."
        )
    return url, found[1].lower()


def _usable(entry):
    """The folder in a cache entry, or None if there is none or it is damaged."""
    folder = entry / "preset"
    try:
        source = json.loads((entry / _SOURCE).read_bytes())
        whole = source["metadata_sha256"] == _hash(folder / METADATA)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not whole:
        return None
    try:
        PresetFolder(folder).check_files()
    except (PresetError, OSError):
        return None
    return folder


def _fetch(url, sha256, entry):
    """Download, unpack and put in its place; the lock is held."""
    if entry.exists():
        warnings.warn(
            f"{entry} was damaged, and is downloaded again from {url}.", stacklevel=6
        )
    for rest in entry.parent.glob(f"{sha256}.*.tmp"):
        shutil.rmtree(rest, ignore_errors=True)  # Of a process that was killed.
    archive = entry.with_suffix(".part")
    _download.download(url, sha256, archive)
    new = entry.with_suffix(f".{uuid.uuid4().hex[:12]}.tmp")
    try:
        (new / "preset").mkdir(parents=True)
        _archive.unpack(archive, new / "preset", url)
        source = {"url": url, "metadata_sha256": _hash(new / "preset" / METADATA)}
        (new / _SOURCE).write_text(json.dumps(source, indent=2) + "\n")
        if entry.exists():
            entry.rename(new / "damaged")
        new.rename(entry)
    except (OSError, PresetError):
        # It is the file of the hash, and still no preset; or the disk is full.
        archive.unlink(missing_ok=True)
        raise
    finally:
        shutil.rmtree(new, ignore_errors=True)
    shutil.rmtree(entry / "damaged", ignore_errors=True)
    with contextlib.suppress(OSError):
        archive.unlink()
    return entry / "preset"


def _hash(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()
