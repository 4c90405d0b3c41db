"""A Hugging Face hub on this machine: the protocol as far as ``snapshot_download`` speaks it, and a log of requests.
Uploads are in ``hub_uploads``.

Endpoints: ``/api/models/ID[/revision/REV]``, ``/api/models/ID/tree/REV``, ``/ID/resolve/REV/FILE`` (HEAD, GET, ranges);
for data sets ``/api/datasets/…`` and ``/datasets/ID/…``. A data set is added as ``datasets/ID``.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import re
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from hub_uploads import Uploads

API = re.compile(
    r"/api/(?:models/|(?=datasets/))(?P<repo>(?:datasets/)?[^/]+/[^/]+)(?:/(?P<what>revision|tree)/(?P<revision>[^/]+))?"
)
FILE = re.compile(r"/(?P<repo>(?:datasets/)?[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<name>.+)")
LARGE = (".safetensors", ".bin", ".pt", ".pth")


@dataclass(frozen=True)
class Asked:
    """A request. ``name`` is the file that it asked for, empty for the API; ``range`` is its header."""

    method: str
    path: str
    name: str = ""
    range: str = ""


@dataclass
class Repository:
    """Files by commit, and commits by branch or tag. A ``gated`` one tells its files' names, but never gives them."""

    gated: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    references: dict[str, str] = field(default_factory=dict)

    def commit(self, revision: str) -> str | None:
        found = self.references.get(revision, revision)
        return found if found in self.commits else None


@dataclass(frozen=True)
class Answer:
    """An answer before it is sent. ``error`` is the code that the hub puts into ``X-Error-Code``."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @classmethod
    def json(cls, content: Any) -> Answer:
        return cls(200, {"Content-Type": "application/json"}, json.dumps(content).encode())

    @classmethod
    def refusal(cls, status: int, code: str, message: str) -> Answer:
        headers = {"Content-Type": "application/json", "X-Error-Message": message}
        return cls(status, headers | ({"X-Error-Code": code} if code else {}), json.dumps({"error": message}).encode())


class HubServer:
    """The server, in a thread, for a ``with`` block. ``endpoint`` is what ``HF_ENDPOINT`` must be.

    ``everything`` answers every request in its stead; ``hangs_up`` closes every connection without a word;
    ``breaks`` counts, by file, how often its GET shall end halfway.
    """

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.asked: list[Asked] = []
        self.everything: Answer | None = None
        self.hangs_up = False
        self.breaks: dict[str, int] = {}
        self.uploads = Uploads(self)
        hub = self

        class Handler(_Handler):
            server_hub = hub

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._running = False
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> HubServer:
        self._thread.start()
        self._running = True
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Nobody listens on the port from here on."""
        if self._running:
            self._running = False
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()

    def add(self, repository: str, files: Mapping[str, bytes], *reference: str, gated: bool = False) -> str:
        """One more commit, which the references (``main`` without any) point to from now on; returns its hash."""
        kept = self.repositories.setdefault(repository, Repository(gated))
        whole = hashlib.sha1(repository.encode())
        for name in sorted(files):
            whole.update(f"{name}\0{_sha256(files[name])}\0".encode())
        commit = whole.hexdigest()
        kept.commits[commit] = dict(files)
        kept.references |= dict.fromkeys(reference or ("main",), commit)
        return commit

    def given(self) -> list[str]:
        """The files whose contents were asked for, in that order."""
        return [asked.name for asked in self.asked if asked.method == "GET" and asked.name]

    def answer(self, asked: Asked, path: str) -> Answer:
        if self.everything is not None:
            return self.everything
        if match := API.fullmatch(path):
            return self._api(match["repo"], match["what"] or "", unquote(match["revision"] or "main"))
        if match := FILE.fullmatch(path):
            return self._file(match["repo"], unquote(match["revision"]), asked)
        return Answer.refusal(404, "", "Not Found")

    def _api(self, name: str, what: str, revision: str) -> Answer:
        repository = self.repositories.get(name)
        if repository is None:  # 401, not 404, as the hub says to who has no token: it could be private
            return Answer.refusal(401, "RepoNotFound", "Repository not found")
        commit = repository.commit(revision)
        if commit is None:
            return Answer.refusal(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        files = repository.commits[commit]
        if what == "tree":
            return Answer.json([_tree_entry(path, content) for path, content in sorted(files.items())])
        siblings = [{"rfilename": path, "size": len(content)} for path, content in sorted(files.items())]
        gated = "manual" if repository.gated else False
        private = name in self.uploads.private
        return Answer.json(
            {"id": name, "modelId": name, "sha": commit, "gated": gated, "private": private, "siblings": siblings}
        )

    def _file(self, name: str, revision: str, asked: Asked) -> Answer:
        repository = self.repositories.get(name)
        if repository is None:
            return Answer.refusal(404, "RepoNotFound", "Repository not found")
        commit = repository.commit(revision)
        if commit is None:
            return Answer.refusal(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        if repository.gated:
            return Answer.refusal(403, "GatedRepo", f"Access to model {name} is restricted.")
        content = repository.commits[commit].get(asked.name)
        if content is None:
            return Answer.refusal(404, "EntryNotFound", "Entry not found")
        headers = {"X-Repo-Commit": commit, "Accept-Ranges": "bytes", "Content-Type": "application/octet-stream"}
        if is_large(asked.name):
            headers |= {"X-Linked-Size": str(len(content)), "X-Linked-Etag": f'"{_sha256(content)}"'}
        headers["ETag"] = f'"{etag(asked.name, content)}"'
        if not asked.range:
            return Answer(200, headers, content)
        first = int(asked.range.removeprefix("bytes=").partition("-")[0])
        headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
        return Answer(206, headers, content[first:])


@contextmanager
def hub_at_hand(folder: Path) -> Iterator[HubServer]:
    """A hub, an empty cache in ``folder``, no token, and the network allowed.

    huggingface_hub reads its environment once, into ``constants``: that module is executed again, before and after.
    """
    import pytest
    from huggingface_hub import close_session, constants

    with HubServer() as server, pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("HF_", "HUGGING")) or name == "TRANSFORMERS_OFFLINE":
                patch.delenv(name)
        patch.setenv("HF_ENDPOINT", server.endpoint)
        patch.setenv("HF_HOME", str(folder))
        patch.setenv("NO_PROXY", "127.0.0.1")
        patch.setenv("HF_HUB_DISABLE_XET", "1")
        importlib.reload(constants)
        close_session()
        yield server
    importlib.reload(constants)
    close_session()


class _Handler(BaseHTTPRequestHandler):
    """HTTP/1.0: a connection a request, so that a stopped server leaves no connection behind."""

    server_hub: HubServer

    def do_HEAD(self) -> None:
        self._reply()

    def do_GET(self) -> None:
        self._reply()

    def do_POST(self) -> None:
        self._reply()

    def do_PUT(self) -> None:
        self._reply()

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while length := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(length))
            self.rfile.readline()
        return b"".join(parts)

    def _reply(self) -> None:
        hub = self.server_hub
        path = urlsplit(self.path).path
        writes = self.command in ("POST", "PUT")
        body = self._body() if writes else b""
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        match = FILE.fullmatch(path)
        name = unquote(match["name"]) if match else ""
        asked = Asked(self.command, path, name, self.headers.get("Range", ""))
        hub.asked.append(asked)
        if hub.hangs_up:
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if hub.everything is None and writes:
            answer = hub.uploads.answer(self.command, path, token, body)
        else:
            answer = hub.answer(asked, path)
        self.send_response(answer.status)
        for key, value in answer.headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        body = answer.body
        if hub.breaks.get(name):
            hub.breaks[name] -= 1
            body = body[: len(body) // 2]
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Not on the tests' stderr."""


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def is_large(name: str) -> bool:
    return name.endswith(LARGE)


def etag(name: str, content: bytes) -> str:
    """SHA-256 of a large file, git's hash of another: what the cache names its blobs by."""
    return _sha256(content) if is_large(name) else _blob(content)


def _blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _tree_entry(path: str, content: bytes) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "path": path, "size": len(content), "oid": _blob(content)}
    if is_large(path):
        entry["lfs"] = {"oid": _sha256(content), "size": len(content), "pointerSize": 134}
    return entry
