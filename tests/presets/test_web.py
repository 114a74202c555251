"""Presets from a web server that means well, and from others."""

import errno
import hashlib
import json
import re
import shutil
import sys
import urllib.request

import numpy as np
import pytest
from backends import once
from preset_servers import reply

from keras_mmfusion import presets
from keras_mmfusion.presets import _download

pytestmark = once


HASH = "0" * 64


def names(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def entry(cache, address):
    return cache / address.rpartition("=")[2]


@pytest.fixture
def data(saved_once, pack):
    return pack(saved_once)


@pytest.fixture
def address(server, data):
    return server.add("tiny.zip", data)


def test_load_info_verify_register(model, inputs, cache, server, address):
    loaded = presets.load(address)
    np.testing.assert_allclose(
        loaded.predict(inputs, verbose=0), model.predict(inputs, verbose=0), atol=1e-6
    )
    assert loaded.preprocessor.scale == 2.5
    assert presets.info(address)["version"] == "1.2"
    assert presets.verify(address)["golden_difference"] < 1e-5
    assert presets.register(address) == "tiny"
    assert presets.load("tiny").name == "tiny"
    assert server.log == [("/tiny.zip", None)], "downloaded once"
    digest = entry(cache, address).name
    assert {digest} <= set(names(cache)) <= {digest, f"{digest}.lock"}


def test_files_at_the_top_of_the_archive(saved, cache, server, tmp_path):
    archive = shutil.make_archive(str(tmp_path / "flat"), "zip", saved)
    with open(archive, "rb") as file:
        address = server.add("flat.zip", file.read())
    assert presets.info(address)["name"] == "tiny"


def test_cached_needs_no_server_and_no_package(cache, server, address, monkeypatch):
    presets.info(address)
    server.files.clear()
    monkeypatch.setitem(sys.modules, "filelock", None)
    assert presets.info(address)["name"] == "tiny"
    other = address.replace(server.url, "https://elsewhere.invalid")
    assert presets.info(other)["name"] == "tiny", "the same hash is the same preset"


def test_package_is_missing(cache, address, monkeypatch):
    monkeypatch.setitem(sys.modules, "filelock", None)
    with pytest.raises(ImportError, match=r"^.*pip install 'keras_mmfusion\[hub\]'$"):
        presets.load(address)
    assert names(cache) == []


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("https://x.invalid/a.zip", r"SHA-256 of its archive.*sha256sum a\.zip"),
        ("https://x.invalid/a.zip#sha256=12", "<64 hexadecimal digits>"),
        ("https://x.invalid/a.zip#md5=" + HASH, "<64 hexadecimal digits>"),
        (f"http://x.invalid/a.zip#sha256={HASH}", "must come from an https:// address"),
        (f"http://127.0.0.1.x.invalid/a.zip#sha256={HASH}", "from an https://"),
        (f"https://#sha256={HASH}", "from an https:// address"),
        (f"https://me:secret@x.invalid/a.zip#sha256={HASH}", "must not hold a user"),
        ("ftp://x.invalid/a.zip", "hf://ORGANISATION"),
        ("file:///etc/passwd", "hf://ORGANISATION"),
    ],
)
def test_address(cache, address, message):
    """Nothing is asked of any server; a password is not repeated."""
    with pytest.raises(ValueError, match=message) as error:
        presets.load(address)
    assert "secret" not in str(error.value)
    assert not cache.exists()


def test_another_file(cache, server, address):
    server.files["/tiny.zip"] += b"x"
    with pytest.raises(ValueError, match=r"must have the SHA-256 .*Received.*ask its"):
        presets.load(address)
    assert not [name for name in names(cache) if not name.endswith(".lock")]


@pytest.mark.parametrize("page", ["html", "hidden html", "404", "500"])
def test_no_file(cache, server, address, page):
    message = {
        "html": r"\.zip file. Received: an HTML page",
        "hidden html": "must have the SHA-256",
        "404": "the answer 404 Not Found. Check the address",
        "500": r"0 bytes, then the answer 500 .*, 3 times",
    }[page]
    if page == "html":
        server.html.add("/tiny.zip")
    elif page == "hidden html":
        server.files["/tiny.zip"] = b"<!doctype html><title>Log in</title>"
    else:
        server.failures = [int(page)] * 3
    with pytest.raises(ValueError, match=message):
        presets.load(address)
    assert not [name for name in names(cache) if not name.endswith(".lock")]
    server.html.clear()
    server.files.clear()


def test_busy_for_a_moment(cache, server, address):
    server.failures = [503, 429]
    assert presets.info(address)["name"] == "tiny"


def test_no_server(cache, server, address):
    gone = re.sub(r":\d+/", ":1/", address)
    with pytest.raises(ValueError, match=r"then no answer .*Check the connection"):
        presets.load(gone)


@pytest.mark.parametrize("length", [True, False], ids=["length", "no length"])
def test_cut_at_half_is_resumed(cache, server, data, address, length):
    """Within one call."""
    half = len(data) // 2
    server.cuts = [half]
    server.length = length
    if length:
        assert presets.info(address)["name"] == "tiny"
        assert server.log == [("/tiny.zip", None), ("/tiny.zip", f"bytes={half}-")]
    else:
        # Without a length the end looks like any other; the hash finds it.
        handler = server.send_file
        server.send_file = lambda h, d, _, body: handler(
            h, d[:half] if len(server.log) == 1 else d, {}, body
        )
        with pytest.raises(ValueError, match="must have the SHA-256"):
            presets.info(address)
        assert presets.info(address)["name"] == "tiny"


def test_cut_again_and_again(cache, server, data, address):
    """What came is kept for the next call."""
    server.cuts = [1000, 1000, 1000]
    with pytest.raises(ValueError, match=r"Received: 3,000 bytes, then the end of"):
        presets.load(address)
    (part,) = [name for name in names(cache) if name.endswith(".part")]
    assert (cache / part).read_bytes() == data[:3000]
    assert presets.info(address)["name"] == "tiny"
    assert server.log[-1] == ("/tiny.zip", "bytes=3000-")
    assert part not in names(cache)


def test_server_that_cannot_resume(cache, server, address):
    server.cuts, server.ranges = [1000], False
    assert presets.info(address)["name"] == "tiny"


@pytest.mark.parametrize("kept", ["of another file", "too long", "whole"])
def test_what_was_kept(cache, server, data, address, kept):
    cache.mkdir(parents=True)
    part = entry(cache, address).with_suffix(".part")
    part.write_bytes(
        {"of another file": b"x" * 500, "too long": data + b"x", "whole": data}[kept]
    )
    assert presets.info(address)["name"] == "tiny"
    assert len(server.log) == (1 if kept == "whole" else 2)


def test_redirects(cache, server, address):
    server.redirects["/latest.zip"] = f"{server.url}/tiny.zip"
    assert presets.info(address.replace("tiny.zip", "latest.zip"))["name"] == "tiny"


@pytest.mark.parametrize(
    "target", ["http://x.invalid/tiny.zip", "file:///etc/passwd", "ftp://x.invalid/a"]
)
def test_redirects_that_lead_astray(cache, server, address, target):
    server.redirects["/tiny.zip"] = target
    with pytest.raises(ValueError, match=r"(https:// address|the answer 302)"):
        presets.load(address)


def test_redirects_without_end(cache, server, address):
    server.redirects["/tiny.zip"] = f"{server.url}/tiny.zip"
    with pytest.raises(ValueError, match=r"anyone may download.*the answer 302"):
        presets.load(address)


def test_redirect_from_outside_to_this_machine(server):
    """A page elsewhere must not make this machine ask services of its own."""
    request = urllib.request.Request("https://x.invalid/tiny.zip")
    for url in (f"{server.url}/tiny.zip", "https://localhost/tiny.zip"):
        with pytest.raises(ValueError, match="Do not use this address"):
            _download._Redirects().redirect_request(request, None, 302, "", {}, url)


@pytest.mark.parametrize(
    "length", ["-1", "1e3", "x", "\u00b2", "9" * 5000, "9" * 17, ""], ids=range(7)
)
def test_length_that_is_none(cache, server, address, length):
    """It is not believed, or there would have to be room for it."""
    server.send_file = lambda handler, data, headers, body: reply(
        handler, data, {**headers, "Content-Length": length}, body
    )
    if length == "9" * 17:
        with pytest.raises(ValueError, match="must not be larger than"):
            presets.info(address)
    else:
        assert presets.info(address)["name"] == "tiny"


def test_more_than_was_said(cache, server, data, address):
    """What comes after the end is not read; what is less than all has another hash."""
    sent = data + b"more"
    server.send_file = lambda handler, _, headers, body: reply(
        handler, sent, {**headers, "Content-Length": str(len(data))}, body
    )
    assert presets.info(address)["name"] == "tiny"
    other = server.add("half.zip", data + b"another half")
    with pytest.raises(ValueError, match="must have the SHA-256"):
        presets.info(other)


def test_file_without_end(cache, server, address, monkeypatch):
    monkeypatch.setattr(_download, "MAX_BYTES", 1000)
    for server.length in (True, False):
        with pytest.raises(ValueError, match="must not be larger than 1,000 bytes"):
            presets.load(address)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("config.json", b"Tiny", b"Tuny"),
        ("metadata.json", b"360", b"361"),  # What no hash in the folder covers.
        ("model.weights.h5", b"HDF", b"PDF"),
    ],
)
@pytest.mark.parametrize("damage", ["changed", "cut", "gone"])
def test_damaged_cache_is_mended(cache, server, address, name, old, new, damage):
    presets.info(address)
    file = entry(cache, address) / "preset" / name
    data = file.read_bytes()
    assert old in data
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(data.replace(old, new) if damage == "changed" else data[:-1])
    with pytest.warns(UserWarning, match="was damaged, and is downloaded again"):
        assert presets.info(address)["name"] == "tiny"
    assert file.read_bytes() == data
    assert names(entry(cache, address)) == ["preset", "source.json"]


def test_rest_of_a_killed_process(cache, server, address):
    """A folder that was half unpacked goes."""
    rest = entry(cache, address).with_suffix(".0123456789ab.tmp")
    (rest / "preset").mkdir(parents=True)
    (rest / "preset" / "config.json").write_text("{")
    presets.info(address)
    assert rest.name not in names(cache)


@pytest.mark.parametrize("when", ["before", "download", "unpack"])
def test_disk_is_full(cache, server, data, address, monkeypatch, when):
    full = OSError(errno.ENOSPC, "No space left on device")
    if when == "before":
        usage = shutil._ntuple_diskusage(10**9, 10**9 - 10, 10)
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
        match = f"No space left on device: {len(data):,} bytes"
    else:
        match = "No space left on device"

        def fail(*args, **kwargs):
            raise full

        if when == "unpack":
            monkeypatch.setattr(shutil, "copyfileobj", fail)
        else:
            monkeypatch.setattr(_download, "_copy", fail)
    with pytest.raises(ValueError, match=rf"must fit on the disk.*{match}.*KERAS_HOME"):
        presets.load(address)
    monkeypatch.undo()
    assert not [name for name in names(cache) if not name.endswith(".lock")]


def test_disk_gets_full(cache, server, saved, rehash, pack):
    """A true one: the system lets this process write no file of more than 50 kB."""
    resource = pytest.importorskip("resource")
    (saved / "train_log.csv").write_bytes(np.random.default_rng(0).bytes(200_000))
    rehash(saved)
    address = server.add("large.zip", pack(saved))
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, old[1]))
    try:
        with pytest.raises(ValueError, match="must fit on the disk"):
            presets.load(address)
        assert not [name for name in names(cache) if not name.endswith(".lock")]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert presets.info(address)["name"] == "tiny"


def test_read_only_cache_with_the_preset(cache, server, address, read_only):
    presets.info(address)
    read_only(cache)
    assert presets.load(address).name == "tiny"


@pytest.mark.parametrize("there", ["cache", "home"])
def test_read_only_cache_without_it(cache, server, address, read_only, there):
    folder = cache if there == "cache" else cache.parents[1]
    folder.mkdir(parents=True)
    read_only(folder)
    with pytest.raises(ValueError, match=r"must be kept in .*presets.*Set KERAS_HOME"):
        presets.load(address)


def test_cache_is_a_file(cache, server, address):
    cache.parent.mkdir(parents=True)
    cache.write_text("")
    with pytest.raises(ValueError, match=r"must be kept in .*Set KERAS_HOME"):
        presets.load(address)


def test_keras_home_is_a_file(server, address, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "file"))
    with pytest.raises(ValueError, match=r"must be kept in .*Set KERAS_HOME"):
        presets.load(address)
    assert not server.log


def test_lock_of_a_process_that_is_gone(cache, server, address):
    """The file of a lock is none."""
    cache.mkdir(parents=True)
    entry(cache, address).with_suffix(".lock").write_text("4711")
    assert presets.info(address)["name"] == "tiny"


def test_keras_home_is_honoured(cache, server, address, tmp_path, monkeypatch):
    presets.info(address)
    assert entry(cache, address).is_dir()
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "other"))
    server.files.clear()
    with pytest.raises(ValueError, match="404"):
        presets.info(address)


def test_source_is_written_down(cache, server, address):
    presets.info(address)
    source = json.loads((entry(cache, address) / "source.json").read_text())
    metadata = (entry(cache, address) / "preset" / "metadata.json").read_bytes()
    assert source == {
        "url": address.partition("#")[0],
        "metadata_sha256": hashlib.sha256(metadata).hexdigest(),
    }
