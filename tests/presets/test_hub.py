"""Presets from the Hugging Face hub, as a small server on this machine plays it."""

import json
import sys

import numpy as np
import pytest
from backends import once
from preset_servers import HubServer, running

from keras_mmfusion import presets

pytestmark = once


constants = pytest.importorskip("huggingface_hub.constants")
ADDRESS = "hf://org/tiny@main"


@pytest.fixture
def hub(monkeypatch, cache):
    with running(HubServer()) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        # No token of this machine's user, and no other endpoint of theirs.
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_IMPLICIT_TOKEN", 1)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        yield server


@pytest.fixture
def files(saved_once):
    """What a user uploads, and what the hub adds."""
    files = {path.name: path.read_bytes() for path in saved_once.iterdir()}
    return {**files, ".gitattributes": b"*.h5 filter=lfs\n", "LICENSE": b"free"}


@pytest.fixture
def commit(hub, files):
    return hub.commit(files)


def test_load_info_verify(model, inputs, cache, hub, commit):
    hub.lfs = {"model.weights.h5", "golden.npz"}
    loaded = presets.load(ADDRESS)
    np.testing.assert_allclose(
        loaded.predict(inputs, verbose=0), model.predict(inputs, verbose=0), atol=1e-6
    )
    assert presets.info(ADDRESS)["name"] == "tiny"
    assert presets.info("hf://org/tiny")["name"] == "tiny"
    assert presets.verify(ADDRESS)["golden_difference"] < 1e-5
    asked = {path.rpartition("/")[2] for path, _ in hub.log}
    assert "config.json" in asked
    assert not asked & {".gitattributes", "LICENSE"}
    assert (cache / "hub").is_dir()


def test_commit_needs_the_network_once(cache, hub, commit):
    address = f"hf://org/tiny@{commit}"
    presets.info(address)
    asked = len(hub.log)
    assert presets.load(address).name == "tiny"
    assert len(hub.log) == asked


def test_branch_moves(cache, hub, commit, saved, rehash):
    """The former commit stays in the cache."""
    assert presets.info(ADDRESS)["version"] == "1.2"
    rehash(saved, version="1.3")
    hub.commit({path.name: path.read_bytes() for path in saved.iterdir()})
    assert presets.info(ADDRESS)["version"] == "1.3"
    assert presets.info(f"hf://org/tiny@{commit}")["version"] == "1.2"


@pytest.mark.parametrize("revision", ["v1.2", "refs/pr/1"])
def test_tags(cache, hub, files, revision):
    hub.commit(files, revision)
    assert presets.info(f"hf://org/tiny@{revision}")["name"] == "tiny"


@pytest.mark.parametrize("how", ["no server", "broken server", "asked for"])
def test_without_a_network(cache, hub, commit, monkeypatch, how):
    """What is whole in the cache is used; what is not there says why."""
    presets.info(ADDRESS)
    if how == "no server":
        monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    elif how == "broken server":
        monkeypatch.setattr(hub, "repository", "gone/away")
        hub.failures = [503] * 100
        monkeypatch.setattr(hub, "answer", super(HubServer, hub).answer)
    else:
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert presets.load(ADDRESS).name == "tiny"
    with pytest.raises(ValueError, match=r"or be whole in .*neither.*HF_ENDPOINT"):
        presets.load("hf://org/other@main")


@pytest.mark.parametrize("address", ["hf://org/other@main", "hf://org/tiny@v9"])
def test_no_such_repository_or_revision(cache, hub, commit, address):
    with pytest.raises(ValueError, match=r"that you may read.*hf auth login"):
        presets.load(address)


@pytest.mark.parametrize(
    "address",
    ["hf://tiny", "hf://", "hf://org/tiny@", "hf://org/tiny/config.json", "hf://a/b@/"]
    + [
        "hf://../..",
        "hf://org/..",
        "hf://.org/x",
        "hf://org/a--b",
        "hf://org/x@../../y",
    ],
)
def test_address(cache, hub, address):
    """Nothing is asked, and no name leads out of the cache."""
    with pytest.raises(ValueError, match="must be given as hf://ORGANISATION"):
        presets.load(address)
    assert not hub.log and not cache.exists()


def test_package_is_missing(cache, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match=r"^.*pip install 'keras_mmfusion\[hub\]'$"):
        presets.load(ADDRESS)


def test_no_preset(cache, hub):
    hub.commit({"README.md": b"A model of something else"})
    with pytest.raises(ValueError, match=r"must have a metadata\.json.*none"):
        presets.load(ADDRESS)


def test_huge_metadata(cache, hub, files):
    hub.commit({**files, "metadata.json": b" " * 9_000_000})
    with pytest.raises(ValueError, match=r"at most .*Received: 9000000"):
        presets.load(ADDRESS)
    assert not any("/resolve/" in path for path, _ in hub.log)


@pytest.mark.parametrize("name", ["model.weights.h5", "README.md"])
def test_a_file_is_another(cache, hub, files, name):
    """Of another size, it is not even downloaded."""
    hub.commit({**files, name: files[name] + b"x"})
    with pytest.raises(ValueError, match=rf"must have a {name} of [\d,]+ bytes"):
        presets.load(ADDRESS)
    assert not any(path.endswith(name) for path, _ in hub.log)


def test_a_file_is_changed(cache, hub, files):
    config = files["config.json"].replace(b"Tiny", b"Tuny")
    hub.commit({**files, "config.json": config})
    with pytest.raises(ValueError, match=r"config\.json must have the SHA-256"):
        presets.load(ADDRESS)


def test_names_that_lead_outside(cache, hub, files):
    metadata = json.loads(files["metadata.json"])
    metadata["files"]["../../x"] = {"sha256": "0" * 64, "bytes": 1}
    hub.commit({**files, "metadata.json": json.dumps(metadata).encode()})
    with pytest.raises(ValueError, match=r"hf://org/tiny@main: .*\.\./\.\./x"):
        presets.load(ADDRESS)


def test_damaged_cache_is_mended(cache, hub, commit):
    presets.info(ADDRESS)
    (path,) = cache.glob(f"hub/*/snapshots/{commit}/config.json")
    data = path.read_bytes()
    path.resolve().write_bytes(data[:-1])
    assert presets.load(ADDRESS).name == "tiny"
    assert path.read_bytes() == data


def test_cut_download(cache, hub, commit):
    hub.cuts = [100] * 50
    with pytest.raises(ValueError, match=r"must be downloaded whole.*call again"):
        presets.load(ADDRESS)
    hub.cuts.clear()
    assert presets.load(ADDRESS).name == "tiny"


@pytest.mark.parametrize("revision", ["commit", "main"])
def test_read_only_cache_with_the_preset(cache, hub, commit, read_only, revision):
    address = f"hf://org/tiny@{commit if revision == 'commit' else revision}"
    presets.info(address)
    read_only(cache)
    assert presets.load(address).name == "tiny"


def test_read_only_cache_without_it(cache, hub, commit, read_only):
    cache.mkdir(parents=True)
    read_only(cache)
    with pytest.raises(ValueError, match=r"must be kept in .*Set KERAS_HOME"):
        presets.load(ADDRESS)


def test_cache_is_a_file(cache, hub, commit):
    cache.parent.mkdir(parents=True)
    cache.write_text("")
    with pytest.raises(ValueError, match=r"must be kept in .*Set KERAS_HOME"):
        presets.load(ADDRESS)
