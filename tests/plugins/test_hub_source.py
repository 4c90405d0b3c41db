"""The hub source against a hub on this machine: what is fetched when, and every way in which a hub says no."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from conftest import Said
from hub_server import Answer, HubServer

from graftlm.contracts.errors import ModelError
from graftlm.planning import base_model
from graftlm_plugins.sources import hub as source

TINY = Path(__file__).parents[2] / "registry/graftlm_registry/builtin/tiny-falcon"
FILES = {path.name: path.read_bytes() for path in TINY.iterdir() if path.is_file()}
SMALL = {name: content for name, content in FILES.items() if not name.endswith(".safetensors")}
ID = "team/tiny-falcon"
UNSET = (
    "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_OIDC_RESOURCE",
    "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_XET_CACHE", "HF_HUB_DISABLE_IMPLICIT_TOKEN", "HUGGINGFACE_CO_STAGING",
)  # fmt: skip

Run = Callable[..., Said]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubServer]:
    """A hub of our own, an empty cache, no token, and the network allowed.

    huggingface_hub reads its environment once, into ``constants``, and looks things up there at every call: that one
    module is executed again, before and after, which holds for whatever it derives from the environment.
    """
    from huggingface_hub import close_session, constants

    with HubServer() as server, pytest.MonkeyPatch.context() as patch:
        for name in UNSET:
            patch.delenv(name, raising=False)
        patch.setenv("HF_ENDPOINT", server.endpoint)
        patch.setenv("HF_HOME", str(tmp_path / "huggingface"))
        patch.setenv("NO_PROXY", "127.0.0.1")
        _read_again(constants)
        close_session()
        yield server
    _read_again(constants)
    close_session()


def _read_again(constants: ModuleType) -> None:
    importlib.reload(constants)


def refusal(said: Said) -> str:
    """The sentence: exit code 2, nothing on stdout, and one line on stderr."""
    assert (said.code, said.out) == (2, ""), said
    lines = said.err.splitlines()
    assert len(lines) == 1, said.err
    assert lines[0].startswith("Error: ")
    return lines[0].removeprefix("Error: ")


def test_small_files_come_first_and_weights_only_with_the_fetch(hub: HubServer) -> None:
    """A plan must cost kilobytes, whatever the model's size."""
    commit = hub.add(ID, {**FILES, "README.md": b"# a model", "pytorch_model.bin": b"a pickle"})
    asked = base_model.request(ID)
    description = source.describe(asked)
    assert (description.name, description.source, description.revision) == (ID, "hub", commit)
    assert description.model_type == "falcon"
    assert {"config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"} <= set(hub.given())
    assert not [request for request in hub.asked if request.name.endswith((".safetensors", ".bin"))]

    small = len(hub.asked)
    folder = source.fetch(asked, description)
    later = [request for request in hub.asked[small:] if request.name]
    assert [(request.method, request.name) for request in later] == [
        ("HEAD", "model.safetensors"),
        ("GET", "model.safetensors"),
    ]
    assert folder == description.folder
    assert (folder / "model.safetensors").read_bytes() == FILES["model.safetensors"]
    assert not list(folder.glob("*.bin"))
    assert not (folder / "README.md").exists()


def test_a_plan_brings_no_weights(hub: HubServer, run: Run, alpaca: Path) -> None:
    commit = hub.add(ID, FILES)
    said = run("plan", alpaca, "--model", ID, "--json")
    assert said.code == 0, said.err
    assert json.loads(said.out)["model"]["revision"] == commit
    assert said.err == ""
    assert "config.json" in hub.given()
    assert not [request for request in hub.asked if request.name.endswith(".safetensors")]


def test_weights_that_the_loader_does_not_read_stay_there(hub: HubServer) -> None:
    """Mistral's and Llama's repositories hold their weights twice."""
    copies = ("consolidated.safetensors", "original/consolidated.safetensors", "onnx/model.safetensors")
    hub.add(ID, {**FILES, **dict.fromkeys(copies, b"the same weights once more")})
    asked = base_model.request(ID)
    source.fetch(asked, source.describe(asked))
    assert [name for name in hub.given() if name.endswith(".safetensors")] == ["model.safetensors"]


def test_sharded_weights_come_with_their_index(hub: HubServer) -> None:
    shards = {f"model-0000{i}-of-00002.safetensors": bytes([i]) for i in (1, 2)}
    index = {"model.safetensors.index.json": b"{}"}
    hub.add(ID, {**SMALL, **shards, **index})
    asked = base_model.request(ID)
    folder = source.fetch(asked, source.describe(asked))
    assert {path.name for path in folder.iterdir()} >= {*shards, *index}


def test_a_revision_is_pinned_to_its_commit(hub: HubServer) -> None:
    """Between the plan and the run a branch can move."""
    old = hub.add(ID, FILES, "main", "v1")
    asked = base_model.request(ID, revision="v1")
    description = source.describe(asked)
    assert description.revision == old
    new = hub.add(ID, {**FILES, "model.safetensors": b"other weights"}, "main", "v1")
    assert new != old
    assert (source.fetch(asked, description) / "model.safetensors").read_bytes() == FILES["model.safetensors"]
    assert source.describe(asked).revision == new
    assert source.describe(base_model.request(ID, revision=old)).revision == old


@pytest.mark.parametrize("revision", ["v2", "0" * 40])
def test_an_unknown_revision(hub: HubServer, run: Run, alpaca: Path, revision: str) -> None:
    hub.add(ID, FILES)
    said = refusal(run("plan", alpaca, "--model", ID, "--revision", revision))
    assert said == f"{ID} has no revision '{revision}' on the hub"


def test_a_gated_model(hub: HubServer, run: Run, alpaca: Path) -> None:
    hub.add(ID, FILES, gated=True)
    said = refusal(run("train", alpaca, "--model", ID))
    assert said.startswith(f"{ID} is gated: ")
    assert "hf auth login" in said
    assert hub.given() == []


def test_an_unknown_model(hub: HubServer, run: Run, alpaca: Path) -> None:
    assert refusal(run("plan", alpaca, "--model", "team/no-such")).startswith(
        "there is no model team/no-such on the hub"
    )


@pytest.mark.parametrize("name", ["team/a--b", "team/model.git", "team/a..b", f"team/{'x' * 97}", "team/model."])
def test_what_cannot_be_a_hub_id(hub: HubServer, run: Run, alpaca: Path, name: str) -> None:
    """The hub's rule is narrower than a pattern, and huggingface_hub raises an error of its own."""
    assert name in refusal(run("plan", alpaca, "--model", name))
    assert hub.asked == []


def test_no_network(hub: HubServer, run: Run, alpaca: Path) -> None:
    hub.stop()
    said = refusal(run("plan", alpaca, "--model", ID))
    assert said == f"{ID} is not on this machine and cannot be fetched: check the network, or give a local folder"


def test_no_network_but_the_small_files(hub: HubServer, run: Run, alpaca: Path) -> None:
    """A plan stands from the cache, which remembers where the branch was."""
    commit = hub.add(ID, FILES)
    source.describe(base_model.request(ID))
    hub.stop()
    said = run("plan", alpaca, "--model", ID, "--json")
    assert (said.code, json.loads(said.out)["model"]["revision"]) == (0, commit), said.err


def test_what_was_fetched_needs_no_network(hub: HubServer) -> None:
    """An adapter's record names the commit: generating from it must not ask the hub again."""
    commit = hub.add(ID, FILES)
    asked = base_model.request(ID)
    folder = source.fetch(asked, source.describe(asked))
    hub.stop()
    again = base_model.request(ID, revision=commit)
    assert source.fetch(again, source.describe(again)) == folder


def test_a_line_that_breaks_is_taken_up_again(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """What came is kept, in pieces of the client's size (10 MB; the model here is smaller)."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1024)
    hub.add(ID, FILES)
    hub.breaks["model.safetensors"] = 1
    asked = base_model.request(ID)
    folder = source.fetch(asked, source.describe(asked))
    assert (folder / "model.safetensors").read_bytes() == FILES["model.safetensors"]
    ranges = [request.range for request in hub.asked if (request.method, request.name) == ("GET", "model.safetensors")]
    assert ranges[0] == ""
    assert ranges[1].startswith("bytes=7")
    assert len(ranges) == 2


def test_a_hub_that_hangs_up(hub: HubServer, run: Run, alpaca: Path) -> None:
    hub.hangs_up = True
    assert refusal(run("plan", alpaca, "--model", ID)).startswith(f"{ID} could not be fetched from the hub: ")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        pytest.param(Answer.refusal(503, "", "Back soon"), "503", id="down"),
        pytest.param(Answer.refusal(403, "", "Your token may not read this"), "403", id="forbidden"),
        pytest.param(Answer.refusal(401, "", "Invalid credentials in Authorization header"), "401", id="bad-token"),
        pytest.param(Answer(200, {}, b"<html>Sign in to the Wi-Fi</html>"), "HF_ENDPOINT", id="portal"),
    ],
)
def test_a_hub_that_answers_something_else(hub: HubServer, run: Run, alpaca: Path, answer: Answer, said: str) -> None:
    """The reason must not be lost in 'check the network': the network is well."""
    hub.everything = answer
    sentence = refusal(run("plan", alpaca, "--model", ID))
    assert sentence.startswith(f"{ID} could not be fetched from the hub: ")
    assert said in sentence


def test_offline_without_the_files(hub: HubServer, run: Run, alpaca: Path) -> None:
    hub.add(ID, FILES)
    said = refusal(run("plan", alpaca, "--model", ID, "--offline"))
    assert said == f"{ID} is not on this machine and cannot be fetched: run once without --offline"
    assert hub.asked == []


def test_offline_with_the_small_files_only(hub: HubServer, run: Run, alpaca: Path) -> None:
    """A plan stands; a run needs the weights, and says so before a worker starts."""
    hub.add(ID, FILES)
    source.describe(base_model.request(ID))
    hub.asked.clear()
    assert run("plan", alpaca, "--model", ID, "--offline").code == 0
    said = run("train", alpaca, "--model", ID, "--offline", "--json")
    assert refusal(said).endswith("run once without --offline")
    assert hub.asked == []


def test_offline_with_the_files(hub: HubServer) -> None:
    commit = hub.add(ID, FILES)
    asked = base_model.request(ID)
    source.fetch(asked, source.describe(asked))
    hub.asked.clear()
    offline = base_model.request(ID, offline=True)
    description = source.describe(offline)
    assert description.revision == commit
    assert (source.fetch(offline, description) / "model.safetensors").is_file()
    assert hub.asked == []


def test_the_variable_that_forbids_the_network(
    hub: HubServer, run: Run, alpaca: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``HF_HUB_OFFLINE`` is not a broken network."""
    from huggingface_hub import constants

    hub.add(ID, FILES)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    _read_again(constants)
    assert "HF_HUB_OFFLINE" in refusal(run("plan", alpaca, "--model", ID))
    assert hub.asked == []


@pytest.mark.parametrize("verb", ["plan", "train"])
def test_a_pickle_is_refused(hub: HubServer, run: Run, alpaca: Path, verb: str) -> None:
    """By the plan already, which knows the files' names, and without reading a byte of it."""
    hub.add(ID, {**SMALL, "pytorch_model.bin": b"a pickle"})
    said = refusal(run(verb, alpaca, "--model", ID))
    assert "no *.safetensors" in said
    assert "pickle" in said
    assert "pytorch_model.bin" not in {request.name for request in hub.asked}


def test_a_fetch_refuses_a_pickle_too(hub: HubServer) -> None:
    """A cache that an older huggingface_hub filled does not know the files' names."""
    hub.add(ID, FILES)
    asked = base_model.request(ID)
    description = source.describe(asked)
    other = hub.add("team/pickled", {**SMALL, "pytorch_model.bin": b"a pickle"})
    with pytest.raises(ModelError, match=r"no \*\.safetensors"):
        source.fetch(base_model.request("team/pickled"), replace(description, revision=other))


def test_train_from_the_hub(hub: HubServer, run: Run, alpaca: Path) -> None:
    """One whole run: the adapter's record names the hub id and the commit, and every file came once."""
    commit = hub.add(ID, FILES)
    said = run("train", alpaca, "--model", ID, "--name", "from-hub", "--max-steps", "2", "--max-length", "64", "--json")
    assert said.code == 0, said.err
    assert json.loads(said.out)
    given = hub.given()
    assert given.count("model.safetensors") == 1
    assert len(given) == len(set(given))
    assert given[-1] == "model.safetensors"

    record = json.loads(run("adapters", "show", "from-hub", "--json").out)
    assert record["base"]["reference"] == record["base"]["name"] == ID
    assert (record["base"]["source"], record["base"]["revision"]) == ("hub", commit)
    shown = run("adapters", "show", "from-hub").out
    assert ID in shown
    assert commit in shown
