"""Presets from the Hugging Face hub: `hf://org/repo@revision`."""

import os
import re
from pathlib import Path

from keras_mmfusion.presets import _cache, _json
from keras_mmfusion.presets._errors import PresetError
from keras_mmfusion.presets._folder import METADATA, PresetFolder

# As the hub allows names; none leads to another folder or address.
_NAME = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?"
_REVISION = r"[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*"
_ADDRESS = re.compile(
    rf"(?!.*\.\.)(?![^@]*--)hf://({_NAME}/{_NAME})(?:@({_REVISION}))?"
)
_COMMIT = re.compile(r"[0-9a-f]{40}")


def fetch(address):
    """The folder of a preset on the hub, from the cache or the network.

    Only the files that its `metadata.json` lists are downloaded, all of one commit.
    A commit that is in the cache needs no network; for a branch or tag the hub is
    asked what it is now, and without a network the last answer counts.

    Args:
        address: str. `hf://org/repo@revision`: a commit, tag or branch.

    Returns:
        `Path` of the folder.

    Raises:
        ImportError: The package huggingface_hub is not installed.
        PresetError: No such repository, revision or network, or no preset there.
    """
    found = _ADDRESS.fullmatch(address)
    if found is None:
        raise PresetError(
            "A preset on the hub must be given as hf://ORGANISATION/REPOSITORY@"
            f"REVISION. Received: {address!r}"
        )
    repository, revision = found[1], found[2] or "main"
    try:
        hub = _Hub(address, repository)
    except ImportError as error:
        raise ImportError(
            "Downloading a preset from the hub needs the package huggingface_hub: "
            "pip install 'keras_mmfusion[hub]'"
        ) from error
    if _COMMIT.fullmatch(revision) and (folder := hub.kept(revision)) is not None:
        return folder
    with _cache.explained(f"The preset {address}"):
        return hub.fetch(revision)


class _Hub:
    """One repository, with a cache of its own in ours."""

    def __init__(self, address, repository):
        import huggingface_hub

        self.package = huggingface_hub
        self.address = address
        self.repository = repository
        self.cache = _cache.directory() / "hub"
        # As huggingface_hub does, but read when it is needed.
        self.endpoint = os.environ.get("HF_ENDPOINT") or None
        self.why = None

    def kept(self, revision):
        """The whole, unchanged folder in the cache, or None."""
        path = self.package.try_to_load_from_cache(
            self.repository, METADATA, cache_dir=self.cache, revision=revision
        )
        if not isinstance(path, str):
            return None
        try:
            PresetFolder(Path(path).parent).check_files()
        except (PresetError, OSError):
            return None
        return Path(path).parent

    def fetch(self, revision):
        sizes = self._sizes(revision)
        if sizes is None:
            return self._without_network(revision)
        if sizes.get(METADATA, _json.MAX_BYTES + 1) > _json.MAX_BYTES:
            raise PresetError(
                f"{self.address} must have a {METADATA} of at most "
                f"{_json.MAX_BYTES:,} bytes. Received: "
                f"{sizes.get(METADATA, 'none')}. It is not a preset."
            )
        folder = self._download(METADATA, revision).parent
        metadata = self._folder(folder).metadata
        for name, entry in metadata["files"].items():
            if sizes.get(name) != entry["bytes"]:
                raise PresetError(
                    f"{self.address} must have a {name} of {entry['bytes']:,} bytes, "
                    f"as its {METADATA} says. Received: {sizes.get(name, 'none')}. "
                    "Its author may be uploading it; try again later."
                )
        # The commit that the metadata is of, whatever the branch is by now.
        for name in metadata["files"]:
            self._download(name, folder.name)
        if self.kept(folder.name) is None:
            # Changed on this disk, since it was downloaded by its own hashes.
            for name in (METADATA, *metadata["files"]):
                self._download(name, folder.name, force_download=True)
            self._folder(folder).check_files()
        return folder

    def _sizes(self, revision):
        """`{file: bytes}` on the hub, or None if it cannot be reached."""
        api = self.package.HfApi(endpoint=self.endpoint)
        try:
            info = api.model_info(
                self.repository, revision=revision, files_metadata=True, timeout=30
            )
        except Exception as error:
            answer = getattr(error, "response", None)
            if answer is None or answer.status_code >= 500:
                self.why = error
                return None
            raise PresetError(
                f"{self.address} must be a repository and revision that you may read. "
                f"Received: {_line(error)}. Check the address; for a private one, log "
                "in with `hf auth login`."
            ) from error
        return {file.rfilename: file.size or 0 for file in info.siblings or []}

    def _without_network(self, revision):
        folder = self.kept(revision)
        if folder is None:
            raise PresetError(
                f"{self.address} must be on the hub, or be whole in {self.cache}. "
                f"Received: neither; the hub did not answer: {_line(self.why)}. Check "
                "the connection, and HF_HUB_OFFLINE and HF_ENDPOINT if they are set."
            ) from self.why
        return folder

    def _download(self, name, revision, **options):
        try:
            path = self.package.hf_hub_download(
                self.repository,
                name,
                revision=revision,
                cache_dir=self.cache,
                endpoint=self.endpoint,
                **options,
            )
        except Exception as error:
            # Without an errno, it is of the network and not of the disk.
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise PresetError(
                f"{self.address}: {name} must be downloaded whole. Received: "
                f"{_line(error)}. Check the connection and call again."
            ) from error
        return Path(path)

    def _folder(self, folder):
        try:
            return PresetFolder(folder)
        except PresetError as error:
            raise PresetError(f"{self.address}: {error}") from error


def _line(error):
    """The message of an error as one line, without the last full stop."""
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
