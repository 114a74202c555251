"""An archive holds one preset folder, or nothing of it is unpacked."""

import io
import json
import stat
import tarfile
import zipfile

import pytest
from backends import once

from keras_mmfusion import presets
from keras_mmfusion.presets import _archive

pytestmark = once


class Members(dict):
    """Names and contents of an archive; what is not bytes is a `ZipInfo`."""

    def pack(self, compression=zipfile.ZIP_DEFLATED):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", compression) as archive:
            for name, (info, data) in self.items():
                archive.writestr(info or name, data)
        return file.getvalue()


@pytest.fixture
def members(saved_once):
    return Members(
        {f"tiny/{p.name}": (None, p.read_bytes()) for p in saved_once.iterdir()}
    )


def link(name, target):
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info, target


def special(name, kind):
    info = zipfile.ZipInfo(name)
    info.external_attr = (kind | 0o644) << 16
    return info, b""


HOSTILE = {
    "parent": ("../evil.py", (None, b"x")),
    "parent below": ("tiny/../../evil.py", (None, b"x")),
    "parent folder": ("..", (None, b"x")),
    "absolute": ("/tmp/evil.py", (None, b"x")),
    "absolute at the top": ("/evil.py", (None, b"x")),
    "drive": ("C:evil.py", (None, b"x")),
    "backslashes": ("..\\evil.py", (None, b"x")),
    "backslashes below": ("tiny/..\\..\\evil.py", (None, b"x")),
    "deeper": ("tiny/more/evil.py", (None, b"x")),
    "deeper folder": ("tiny/more/", (None, b"")),
    "other letters": ("tiny/evi\u0131.py", (None, b"x")),
    "other letters that look the same": ("tiny/c\u043enfig.json", (None, b"x")),
    "stream of a file": ("tiny/config.json:evil", (None, b"x")),
    "two folders": ("other/evil.py", (None, b"x")),
    "hidden": ("tiny/.bashrc", (None, b"x")),
    "zero byte": ("tiny/evil.py\0.txt", (zipfile.ZipInfo("tiny/evil.py"), b"x")),
    "link": ("tiny/README.md", link("tiny/README.md", "/etc/passwd")),
    "link of a folder": ("tiny/", link("tiny/", "/etc")),
    "link of a new name": ("tiny/more.txt", link("tiny/more.txt", "../../x")),
    "pipe": ("tiny/more.txt", special("tiny/more.txt", stat.S_IFIFO)),
    "device": ("tiny/more.txt", special("tiny/more.txt", stat.S_IFCHR)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names(members, server, cache, tmp_path, name):
    key, value = HOSTILE[name]
    if name == "zero byte":
        value[0].filename = value[0].orig_filename = key
    members[key] = value
    before = sorted(tmp_path.iterdir())
    address = server.add("evil.zip", members.pack())
    with pytest.raises(ValueError, match=r"evil\.zip: .*plain files in one folder"):
        presets.load(address)
    assert [p for p in cache.iterdir() if p.suffix != ".lock"] == []
    assert sorted(p for p in tmp_path.iterdir() if p.name != "home") == before


def test_a_name_twice(members, server, cache):
    file = io.BytesIO(members.pack())
    with zipfile.ZipFile(file, "a") as archive, pytest.warns(UserWarning):
        archive.writestr("tiny/config.json", "{}")
    with pytest.raises(ValueError, match=r"'tiny/config\.json' twice"):
        presets.load(server.add("x.zip", file.getvalue()))


def test_names_that_some_disks_do_not_tell_apart(members, server, cache):
    metadata = json.loads(members["tiny/metadata.json"][1])
    members["tiny/Config.json"] = members["tiny/config.json"]
    metadata["files"]["Config.json"] = metadata["files"]["config.json"]
    members["tiny/metadata.json"] = (None, json.dumps(metadata).encode())
    with pytest.raises(ValueError, match=r"x\.zip: .*by more than capital letters"):
        presets.load(server.add("x.zip", members.pack()))
    assert [p for p in cache.iterdir() if p.suffix != ".lock"] == []


def test_more_than_is_listed(members, server, cache):
    members["tiny/more.py"] = (None, b"x")
    with pytest.raises(ValueError, match=r"other ones in \['more\.py'\]"):
        presets.load(server.add("x.zip", members.pack()))


def test_less_than_is_listed(members, server, cache):
    del members["tiny/model.weights.h5"]
    with pytest.raises(ValueError, match=r"other ones in \['model\.weights\.h5'\]"):
        presets.load(server.add("x.zip", members.pack()))


def test_other_bytes_of_the_same_size(members, server, cache):
    data = members["tiny/config.json"][1]
    members["tiny/config.json"] = (None, data.replace(b"Tiny", b"Tuny"))
    address = server.add("x.zip", members.pack())
    with pytest.raises(ValueError, match=r"config\.json must have the SHA-256"):
        presets.load(address)
    assert [p for p in cache.iterdir() if p.suffix != ".lock"] == []


def test_no_preset(server, cache):
    members = Members({"thesis.tex": (None, b"years of work")})
    with pytest.raises(ValueError, match=r"a preset folder with a metadata\.json"):
        presets.load(server.add("x.zip", members.pack()))


def test_bomb(members, server, cache):
    """100 MB of zeros, in 100 kB."""
    members["tiny/README.md"] = (None, bytes(100 * 2**20))
    data = members.pack()
    assert len(data) < 300_000
    with pytest.raises(
        ValueError, match=r"must not unpack to more than .*Received: 104"
    ):
        presets.load(server.add("x.zip", data))
    assert [p for p in cache.iterdir() if p.suffix != ".lock"] == []


def test_bomb_that_is_listed(members, server, cache, monkeypatch):
    """Also where the metadata agree."""
    monkeypatch.setattr(_archive, "FREE_BYTES", 10_000)
    monkeypatch.setattr(_archive, "MAX_RATIO", 2)
    metadata = json.loads(members["tiny/metadata.json"][1])
    members["tiny/README.md"] = (None, bytes(200_000))
    metadata["files"]["README.md"]["bytes"] = 200_000
    members["tiny/metadata.json"] = (None, json.dumps(metadata).encode())
    with pytest.raises(ValueError, match="must not unpack to more than"):
        presets.load(server.add("x.zip", members.pack()))


def test_bomb_with_a_false_size(members, server, cache):
    """The archive says that the file is small; no more than that is unpacked."""
    size = 1_234_567
    members["tiny/README.md"] = (None, bytes(size))
    data = members.pack()
    small = len("# Tiny\n").to_bytes(4, "little")
    assert data.count(size.to_bytes(4, "little")) == 2
    data = data.replace(size.to_bytes(4, "little"), small)
    with pytest.raises(ValueError, match=r"README\.md|CRC"):
        presets.load(server.add("x.zip", data))
    assert [p for p in cache.iterdir() if p.suffix != ".lock"] == []


def test_huge_metadata(members, server, cache):
    members["tiny/metadata.json"] = (None, b" " * 9_000_000)
    with pytest.raises(ValueError, match=r"a metadata\.json of 9,000,000 bytes"):
        presets.load(server.add("x.zip", members.pack()))


def test_many_files(members, server, cache):
    members |= {f"tiny/{i}": (None, b"") for i in range(200)}
    with pytest.raises(ValueError, match="at most 100 files"):
        presets.load(server.add("x.zip", members.pack()))


def test_unusual_compression(members, server, cache):
    with pytest.raises(ValueError, match="an unusual method"):
        presets.load(server.add("x.zip", members.pack(zipfile.ZIP_LZMA)))


def test_encrypted(members, server, cache):
    data = bytearray(members.pack())
    for magic, offset in ((b"PK\1\2", 8), (b"PK\3\4", 6)):
        data[data.index(magic) + offset] |= 1
    with pytest.raises(ValueError, match="which is encrypted"):
        presets.load(server.add("x.zip", bytes(data)))


def tar(mode):
    """With a device, and links of both kinds that lead outside."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:
        for name, kind in (
            ("tiny/device", tarfile.CHRTYPE),
            ("tiny/hard", tarfile.LNKTYPE),
            ("tiny/soft", tarfile.SYMTYPE),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    return file.getvalue()


@pytest.mark.parametrize("data", [b"", b"PK\3\4", tar("w"), tar("w:gz")])
def test_no_zip(server, cache, data):
    with pytest.raises(ValueError, match=r"must be a \.zip file of a preset folder"):
        presets.load(server.add("x.zip", data))


def test_cut_zip_of_the_right_hash(members, server, cache):
    with pytest.raises(ValueError, match=r"must be a \.zip file of a preset folder"):
        presets.load(server.add("x.zip", members.pack()[:-30]))


def test_any_byte_of_the_archive_may_be_wrong(members, server, cache):
    """With the hash of the wrong one: an error of ours, or the preset as it was."""
    data = members.pack()
    good = presets.info(server.add("x.zip", data))
    for position in range(0, len(data), max(1, len(data) // 60)):
        spoilt = bytearray(data)
        spoilt[position] ^= 0x5A
        try:
            assert presets.info(server.add("x.zip", bytes(spoilt))) == good
        except ValueError as error:
            assert "x.zip" in str(error), position
