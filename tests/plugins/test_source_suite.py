"""The sources of models that come with graftlm, judged as anybody's; the hub's against a hub on this machine."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from hub_server import hub_at_hand

from graftlm.testing import SourceSuite
from graftlm_registry.models import catalogue
from graftlm_registry.plugins import registry

FALCON = catalogue().entry("tiny-falcon").folder or Path()


class TestBuiltIn(SourceSuite):
    source = "built-in"
    references = ("tiny-falcon", "tiny-mistral")
    absent = ()  # what it does not know is not its own


class TestShape(SourceSuite):
    source = "shape"
    references = ("shape:tiny-falcon",)
    absent = ("shape:tiny-falkon", "shape:")


class TestFolder(SourceSuite):
    source = "folder"
    references = (str(FALCON),)
    absent = ("./nowhere", "~nobody-of-this-name/model", "/dev/null", str(FALCON / "model.safetensors"))


class TestHub(SourceSuite):
    source = "hub"
    references = ("team/tiny-falcon",)
    absent = ("team/nowhere", "team/gated")
    revision = "main"

    def setup_method(self) -> None:
        super().setup_method()
        self.held = ExitStack()
        hub = self.held.enter_context(hub_at_hand(self.folder / "huggingface"))
        files = {path.name: path.read_bytes() for path in FALCON.iterdir() if path.is_file()}
        hub.add("team/tiny-falcon", files)
        hub.add("team/gated", files, gated=True)

    def teardown_method(self) -> None:
        self.held.close()
        super().teardown_method()


def test_all_of_them_are_judged() -> None:
    judged = {suite.source for suite in SourceSuite.__subclasses__()}
    assert judged >= set(registry().names("source"))
