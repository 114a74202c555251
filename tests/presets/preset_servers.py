"""Servers on 127.0.0.1: one that gives files, well or badly, and a small hub."""

import contextlib
import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


class FileServer:
    """Gives `files`; the other attributes say how it fails.

    Attributes:
        files: Dict of the path to the bytes.
        log: List of `(path, Range header or None)` of what was asked for.
        cuts: List of numbers of bytes; each answer is cut after the next of them.
        ranges: bool. Whether it can resume.
        html: Set of paths that are answered by an HTML page.
        redirects: Dict of the path to a URL.
        failures: List of status codes for the next answers.
        delay: float. Seconds before each answer.
    """

    def __init__(self):
        self.files, self.log, self.cuts, self.ranges = {}, [], [], True
        self.html, self.redirects, self.failures, self.delay = set(), {}, [], 0.0
        self.length = True
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def add(self, name, data):
        """Serve bytes, and return the address with their hash."""
        self.files[f"/{name}"] = data
        return f"{self.url}/{name}#sha256={hashlib.sha256(data).hexdigest()}"

    def answer(self, handler, body):
        path = unquote(urlsplit(handler.path).path)
        self.log.append((path, handler.headers.get("Range")))
        time.sleep(self.delay)
        if self.failures:
            return handler.send_error(self.failures.pop(0))
        if path in self.redirects:
            handler.send_response(302)
            handler.send_header("Location", self.redirects[path])
            handler.send_header("Content-Length", "0")
            return handler.end_headers()
        if path in self.html:
            page = b"<!doctype html><title>Log in</title>"
            return reply(handler, page, {"Content-Type": "text/html"}, body)
        if path not in self.files:
            return handler.send_error(404)
        return self.send_file(handler, self.files[path], {}, body)

    def send_file(self, handler, data, headers, body):
        start, status = 0, 200
        asked = handler.headers.get("Range")
        if asked and self.ranges:
            start, status = int(asked.removeprefix("bytes=").split("-")[0]), 206
            if start >= len(data):
                return handler.send_error(416)
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        part = data[start:]
        headers = {"Content-Type": "application/octet-stream", **headers}
        if self.length:
            headers["Content-Length"] = str(len(part))
        if body and self.cuts:
            part = part[: self.cuts.pop(0)]
        return reply(handler, part, headers, body, status)


def reply(handler, data, headers, body, status=200):
    handler.send_response(status)
    for name, value in {"Content-Length": str(len(data)), **headers}.items():
        handler.send_header(name, value)
    # Said beforehand, or a client may send its next request down a closed line.
    handler.send_header("Connection", "close")
    handler.end_headers()
    if body:
        handler.wfile.write(data)
    handler.close_connection = True


class HubServer(FileServer):
    """The endpoints of the Hugging Face hub that downloading a model uses.

    Attributes:
        commits: Dict of the commit to a dict of its files.
        branches: Dict of the branch to its commit.
        lfs: Set of files that are redirected to a store of large files.
    """

    repository = "org/tiny"

    def __init__(self):
        super().__init__()
        self.commits, self.branches, self.lfs = {}, {}, set()

    def commit(self, files, branch="main"):
        """Upload files as the newest commit of a branch; returns its name."""
        digest = hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()
        self.commits[digest] = files
        self.branches[branch] = digest
        return digest

    def answer(self, handler, body):
        path = unquote(urlsplit(handler.path).path)
        api = f"/api/models/{self.repository}/revision/"
        if path.startswith(api):
            self.log.append((path, None))
            commit = self._commit(path.removeprefix(api))
            if commit is None:
                return refuse(handler, "RevisionNotFound")
            siblings = [
                {"rfilename": name, "size": len(data), "blobId": "0" * 40}
                for name, data in self.commits[commit].items()
            ]
            info = {"id": self.repository, "sha": commit, "siblings": siblings}
            data = json.dumps(info).encode()
            return reply(handler, data, {"Content-Type": "application/json"}, body)
        if path.startswith("/api/models/"):
            return refuse(handler, "RepoNotFound", 401)
        before, _, rest = urlsplit(handler.path).path.partition("/resolve/")
        if before == f"/{self.repository}":
            self.log.append((path, handler.headers.get("Range")))
            revision, name = (unquote(part) for part in rest.split("/", 1))
            commit = self._commit(revision)
            data = self.commits.get(commit, {}).get(name)
            if data is None:
                return refuse(handler, "EntryNotFound")
            headers = {"X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
            if name not in self.lfs:
                headers["ETag"] = f'"{hashlib.sha1(data).hexdigest()}"'
                return self.send_file(handler, data, headers, body)
            digest = hashlib.sha256(data).hexdigest()
            self.files[f"/lfs/{digest}"] = data
            headers |= {
                "X-Linked-ETag": f'"{digest}"',
                "X-Linked-Size": str(len(data)),
                # Another host, as that of the real one.
                "Location": f"{self.url}/lfs/{digest}".replace(
                    "127.0.0.1", "localhost"
                ),
            }
            return reply(handler, b"", headers, body, 302)
        return super().answer(handler, body)

    def _commit(self, revision):
        return revision if revision in self.commits else self.branches.get(revision)


def refuse(handler, code, status=404):
    return reply(handler, b"", {"X-Error-Code": code}, False, status)


def _handler(server):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            with contextlib.suppress(ConnectionError):
                server.answer(self, True)

        def do_HEAD(self):
            with contextlib.suppress(ConnectionError):
                server.answer(self, False)

        def log_message(self, *args):
            pass

    return Handler


@contextlib.contextmanager
def running(server):
    """Run a server until the end of the block."""
    thread = threading.Thread(
        target=server.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
    )
    thread.start()
    try:
        yield server
    finally:
        server.server.shutdown()
        server.server.server_close()
        thread.join()
