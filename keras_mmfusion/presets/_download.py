"""One file from a web server: resumed where it was cut, and checked by its hash."""

import errno
import hashlib
import http.client
import os
import re
import shutil
import time
import urllib.error
import urllib.request
from urllib.parse import urlsplit

from keras_mmfusion._version import __version__
from keras_mmfusion.presets._errors import PresetError

MAX_BYTES = 4 * 2**30
TRIES = 3
PAUSE = 1.0
TIMEOUT = 30.0
_CHUNK = 2**18
_COUNT = re.compile(r"[0-9]{1,18}")
_HTML = ("text/html", "application/xhtml+xml")


class _Cut(Exception):
    """The connection failed; the next try may do better."""


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follow a redirect only to where an address may lead.

    And from outside never to this machine, whose services trust who asks from it.
    """

    def redirect_request(self, request, file, code, message, headers, url):
        check_address(url)
        if _is_local(url) and not _is_local(request.full_url):
            raise PresetError(
                f"The file at {request.full_url} must not be on this machine. "
                f"Received: a redirect to {url}. Do not use this address."
            )
        return super().redirect_request(request, file, code, message, headers, url)


_opener = urllib.request.build_opener(_Redirects)


def check_address(url):
    """Raise unless a file may be had from here: https, or http on this machine."""
    parts = urlsplit(url)
    if not parts.hostname or not (
        parts.scheme == "https" or (parts.scheme == "http" and _is_local(url))
    ):
        raise PresetError(
            f"A preset must come from an https:// address. Received: {url!r}. "
            "Others may read and change what comes by http; find an https:// address "
            "of it, or download the folder and pass its path."
        )
    if parts.username is not None:
        raise PresetError(
            "An address must not hold a user name or password, since addresses are "
            f"written to logs. Received: one of the host {parts.hostname!r}. Download "
            "the folder yourself, and pass its path."
        )


def _is_local(url):
    return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")


def download(url, sha256, path):
    """Get the file at an address, or what is missing of it.

    Args:
        url: str. An `https://` address.
        sha256: str. What the file must hash to.
        path: `Path`. Where it is written. What is there already is taken for the
            beginning of the file. It stays after a cut connection, for the next
            call, and goes if the hash is another one.

    Raises:
        PresetError: No such file, another one, or no connection.
        OSError: It cannot be written; nothing is left of it.
    """
    check_address(url)
    resumed = path.exists()
    try:
        _get(url, path)
        if resumed and _hash(path) != sha256:
            # What was kept may be of a file that was there before.
            path.unlink()
            _get(url, path)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    if (received := _hash(path)) != sha256:
        size = path.stat().st_size
        path.unlink()
        raise PresetError(
            f"The file at {url} must have the SHA-256 {sha256}. Received: {received}, "
            f"of {size:,} bytes, which were deleted. It is not the file whose hash "
            "you have: ask its author for the hash of the file that is there now."
        )


def _get(url, path):
    for attempt in range(1, TRIES + 1):
        try:
            return _continue(url, path)
        except _Cut as error:
            if attempt == TRIES:
                size = path.stat().st_size if path.exists() else 0
                raise PresetError(
                    f"The file at {url} must arrive whole. Received: {size:,} bytes, "
                    f"then {error}, {TRIES} times. Check the connection and call "
                    "again: it goes on from there."
                ) from error
            time.sleep(PAUSE * attempt)


def _continue(url, path):
    """Append what is missing to the file."""
    start = path.stat().st_size if path.exists() else 0
    headers = {"User-Agent": f"keras_mmfusion/{__version__}"}
    if start:
        headers["Range"] = f"bytes={start}-"
    request = urllib.request.Request(url, headers=headers)
    try:
        response = _opener.open(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416 and start:
            return  # It was all there; the hash will tell.
        if error.code == 429 or error.code >= 500:
            raise _Cut(f"the answer {error.code} {error.reason}") from error
        raise PresetError(
            f"The address {url} must be that of a file that anyone may download. "
            f"Received: the answer {error.code} {error.reason}. Check the address."
        ) from error
    except (OSError, http.client.HTTPException) as error:
        raise _Cut(f"no answer ({getattr(error, 'reason', error)})") from error
    with response:
        _check_type(response, url)
        if not (response.status == 206 and _starts_at(response, start)):
            start = 0
        length = response.headers.get("Content-Length", "")
        total = start + int(length) if _COUNT.fullmatch(length) else None
        _check_size(total or 0, url)
        if total and shutil.disk_usage(path.parent).free < total - start:
            raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)}: {total:,} bytes")
        with open(path, "r+b" if start else "wb") as file:
            file.seek(start)
            size = _copy(response, file, start, url)
    if total is not None and size != total:
        raise _Cut(f"the end of the connection, {total - size:,} bytes too early")


def _copy(response, file, size, url):
    while True:
        try:
            # What has come by now; `read` would keep it until there is more.
            piece = response.read1(_CHUNK)
        except (OSError, http.client.HTTPException) as error:
            raise _Cut(f"a broken connection ({error})") from error
        if not piece:
            return size
        size += len(piece)
        _check_size(size, url)
        file.write(piece)
        file.flush()  # For the next process, if this one is killed.


def _check_type(response, url):
    if response.headers.get_content_type() in _HTML:
        raise PresetError(
            f"The address {url} must be that of a .zip file. Received: an HTML page, "
            "perhaps a login or a page about the file. Open it in a browser, and take "
            "the address of the download itself."
        )


def _check_size(size, url):
    if size > MAX_BYTES:
        raise PresetError(
            f"The file at {url} must not be larger than {MAX_BYTES:,} bytes. "
            f"Received: {size:,} bytes. Download it yourself, and pass the path of "
            "its folder."
        )


def _starts_at(response, start):
    found = re.match(r"bytes ([0-9]{1,18})-", response.headers.get("Content-Range", ""))
    return bool(found) and int(found[1]) == start


def _hash(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
