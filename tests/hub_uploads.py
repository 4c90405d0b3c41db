"""What a hub does with uploads: repositories, preuploads, large files, commits, as huggingface_hub asks for them."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import yaml

if TYPE_CHECKING:
    from hub_server import Answer, HubServer

OF_REPOSITORY = re.compile(r"/api/models/(?P<repo>[^/]+/[^/]+)/(?P<what>preupload|commit|branch)/(?P<revision>[^/]+)")
BATCH = re.compile(r"/(?P<repo>[^/]+/[^/]+)\.git/info/lfs/objects/batch")
OBJECT = re.compile(r"/lfs/(?P<oid>[0-9a-f]{64})")
FIRST = {".gitattributes": b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n"}


class Uploads:
    """``tokens`` are who may come, and whether they may write. Nobody may, at first. ``before_commit`` is called when
    all files are there and the commit is asked for.
    """

    def __init__(self, hub: HubServer) -> None:
        self.hub = hub
        self.tokens: dict[str, bool] = {}
        self.objects: dict[str, bytes] = {}
        self.private: set[str] = set()
        self.messages: list[str] = []
        self.before_commit: Any = None

    def answer(self, method: str, path: str, token: str, body: bytes) -> Answer:
        from hub_server import Answer

        if method == "PUT" and (match := OBJECT.fullmatch(path)):
            if hashlib.sha256(body).hexdigest() != match["oid"]:
                return Answer.refusal(400, "", "another file than its digest says")
            self.objects[match["oid"]] = body
            return Answer(200)
        if path == "/api/validate-yaml":
            return _validated(json.loads(body)["content"])
        if token not in self.tokens:
            return Answer.refusal(401, "", "Invalid username or password.")
        if not self.tokens[token]:
            return Answer.refusal(403, "", "You have read access but not the required permissions")
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        if match := BATCH.fullmatch(path):
            return self._batch(json.loads(body))
        if match := OF_REPOSITORY.fullmatch(path):
            if match["repo"] not in self.hub.repositories:
                return Answer.refusal(404, "RepoNotFound", "Repository not found")
            return self._of(match["repo"], match["what"], unquote(match["revision"]), body)
        return Answer.refusal(404, "", "Not Found")

    def _create(self, asked: dict[str, Any]) -> Answer:
        from hub_server import Answer

        name = f"{asked['organization']}/{asked['name']}"
        url = {"url": f"{self.hub.endpoint}/{name}"}
        if name in self.hub.repositories:
            return Answer(409, {"Content-Type": "application/json"}, json.dumps({"error": "exists", **url}).encode())
        if asked.get("visibility") == "private" or asked.get("private"):
            self.private.add(name)
        self.hub.add(name, FIRST)
        return Answer.json(url)

    def _batch(self, asked: dict[str, Any]) -> Answer:
        from hub_server import Answer

        objects: list[dict[str, Any]] = []
        for one in asked["objects"]:
            upload = {"upload": {"href": f"{self.hub.endpoint}/lfs/{one['oid']}"}}
            objects.append(one if one["oid"] in self.objects else {**one, "actions": upload})
        return Answer.json({"transfer": "basic", "objects": objects})

    def _of(self, name: str, what: str, revision: str, body: bytes) -> Answer:
        from hub_server import Answer, etag, is_large

        repository = self.hub.repositories[name]
        if what == "branch":
            if revision in repository.references:
                return Answer.refusal(409, "", "Reference already exists")
            repository.references[revision] = repository.references["main"]
            return Answer.json({})
        commit = repository.commit(revision)
        if commit is None:
            return Answer.refusal(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        known = repository.commits[commit]
        if what == "preupload":
            files = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if is_large(file["path"]) else "regular",
                    "shouldIgnore": False,
                    "oid": etag(file["path"], known[file["path"]]) if file["path"] in known else None,
                }
                for file in json.loads(body)["files"]
            ]
            return Answer.json({"files": files})
        lines = [json.loads(line) for line in body.splitlines()]
        header = lines[0]["value"]
        if self.before_commit is not None:
            self.before_commit()
            commit = repository.commit(revision)
        if header.get("parentCommit") not in (None, commit):
            return Answer.refusal(412, "", "A commit has happened since. Please refresh and try again.")
        assert commit is not None
        files = dict(repository.commits[commit])
        for line in lines[1:]:
            value = line["value"]
            if line["key"] == "lfsFile":
                files[value["path"]] = self.objects[value["oid"]]
            else:
                files[value["path"]] = base64.b64decode(value["content"])
        self.messages.append(header["summary"])
        made = self.hub.add(name, files, revision)
        return Answer.json(
            {"success": True, "commitOid": made, "commitUrl": f"{self.hub.endpoint}/{name}/commit/{made}"}
        )


def _validated(card: str) -> Answer:
    """As the hub: the head must be YAML, and its model a hub's id."""
    from hub_server import Answer

    try:
        head = yaml.safe_load(card.split("---")[1])
        wrong = [] if re.fullmatch(r"[\w.-]+/[\w.-]+", str(head.get("base_model", "a/b"))) else ["base_model"]
    except (yaml.YAMLError, IndexError, AttributeError) as error:
        wrong = [str(error)]
    if not wrong:
        return Answer.json({"errors": [], "warnings": []})
    body = json.dumps({"error": "Invalid metadata", "errors": [{"message": word} for word in wrong]})
    return Answer(400, {"Content-Type": "application/json"}, body.encode())
