"""Data sets of a hub on this machine: which files come, and every way in which there are none."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from hub_server import Answer, HubServer, hub_at_hand
from hypothesis import given, settings
from hypothesis import strategies as st

from graftlm.contracts.errors import GraftlmError
from graftlm.data.containers import read_records
from graftlm.data.hub_card import matching
from graftlm.data.inputs import find

ID = "team/colours"
LINE = b'{"a": 1}\n'


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def labels(data: str, **choices: object) -> list[str]:
    found = find(data, spool=Path("spool"), **choices)  # type: ignore[arg-type]
    assert found.reference == data
    assert all(file.path.is_file() for file in found.files)
    return [file.label for file in found.files]


def refusal(data: str, **choices: object) -> str:
    with pytest.raises(GraftlmError) as caught:
        labels(data, **choices)
    return str(caught.value)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubServer]:
    with hub_at_hand(tmp_path / "huggingface") as server:
        yield server


def card(front: object) -> bytes:
    return f"---\n{json.dumps(front, indent=1)}\n---\n# A data set\n".encode()  # JSON is YAML


def add(hub: HubServer, *names: str, front: object = None, **more: object) -> str:
    files = {name: json.dumps({"in": name}).encode() for name in names}
    if front is not None:
        files["README.md"] = card(front)
    return hub.add(f"datasets/{ID}", files, **more)  # type: ignore[arg-type]


def named(*names: str) -> list[str]:
    return [f"hf:{ID}/{name}" for name in names]


def test_only_the_files_of_the_split_come(hub: HubServer, here: Path) -> None:
    commit = add(hub, "train.jsonl", "test.jsonl", "big.bin", front={"license": "mit"})
    (file,) = find(f"hf:{ID}", spool=here).files
    assert file.label == f"hf:{ID}/train.jsonl"
    assert commit in file.path.parts
    assert list(read_records(file.path, file.label)) == [({"in": "train.jsonl"}, f"hf:{ID}/train.jsonl:1")]
    assert hub.given() == ["README.md", "train.jsonl"]
    assert labels(f"hf:{ID}", split="test") == named("test.jsonl")


CONFIGS = {
    "configs": [
        {
            "config_name": "plain",
            "data_files": [
                {"split": "train", "path": ["data/one*.jsonl", "x/**/*.jsonl"]},
                {"split": "held_out", "path": "data/two.jsonl"},
                {"split": "lost", "path": "none/*"},
                {"split": "zipped", "path": "data/z.zip"},
            ],
        },
        {"config_name": "folder", "data_dir": "./sub/", "data_files": "a*.jsonl"},
        {"config_name": "names", "data_dir": "sub"},
        {"config_name": "mapped", "data_files": {"train": "x", "test": ["./data/[st]wo.jsonl"]}},
    ]
}
NAMES = ("data/one.jsonl", "data/one/no.jsonl", "data/two.jsonl", "data/z.zip", "x/y.jsonl", "x/y/z.jsonl",
         "sub/a1.jsonl", "sub/train.jsonl", "sub/test.jsonl")  # fmt: skip


@pytest.mark.parametrize(
    ("subset", "split", "expected"),
    [
        ("plain", "", ["data/one.jsonl", "x/y.jsonl", "x/y/z.jsonl"]),
        ("plain", "held_out", ["data/two.jsonl"]),
        ("folder", "", ["sub/a1.jsonl"]),
        ("names", "test", ["sub/test.jsonl"]),
        ("mapped", "train", ["x/y.jsonl", "x/y/z.jsonl"]),
        ("mapped", "test", ["data/two.jsonl"]),
    ],
)
def test_what_the_readme_says(subset: str, split: str, expected: list[str], hub: HubServer, here: Path) -> None:
    add(hub, *NAMES, front=CONFIGS)
    assert labels(f"hf:{ID}:{subset}", split=split) == named(*expected)
    assert sorted(hub.given()) == sorted(["README.md", *expected])


@pytest.mark.parametrize(
    ("data", "split", "said"),
    [
        ("", "", f"hf:{ID} has several subsets (plain, folder, names, mapped): choose one, as in hf:{ID}:plain"),
        (":none", "", f"hf:{ID} has no subset 'none': it has plain, folder, names, mapped"),
        (":plain", "test", f"hf:{ID} has no split 'test': it has train, held_out, lost, zipped (choose with --split)"),
        (":plain", "lost", f"hf:{ID} says that split 'lost' is in none/*, and has no such file"),
        (":plain", "zipped", f"split 'zipped' of hf:{ID} is in files of no kind that graftlm reads (data/z.zip)"),
        ("/none/*.jsonl", "", f"hf:{ID} has no file none/*.jsonl"),
    ],
)
def test_what_the_readme_does_not_say(data: str, split: str, said: str, hub: HubServer, here: Path) -> None:
    add(hub, *NAMES, front=CONFIGS)
    assert refusal(f"hf:{ID}{data}", split=split) == said
    assert hub.given() == ["README.md"]


@pytest.mark.parametrize("marked", [{"config_name": "b", "default": True}, {"config_name": "default"}])
def test_a_default_subset(marked: dict[str, object], hub: HubServer, here: Path) -> None:
    front = {"configs": [{"config_name": "a", "data_files": "a.jsonl"}, {**marked, "data_files": "b.jsonl"}]}
    add(hub, "a.jsonl", "b.jsonl", front=front)
    assert labels(f"hf:{ID}") == named("b.jsonl")


@pytest.mark.parametrize(
    ("names", "split", "expected"),
    [
        (["a.jsonl", "b.jsonl", "LICENSE.txt", ".x/y.json"], "", ["a.jsonl", "b.jsonl"]),
        (["data/train_sft-00000-of-00001-ab.parquet", "data/train-notes.csv"], "train_sft",
         ["data/train_sft-00000-of-00001-ab.parquet"]),
        (["my-training-set.csv", "my.dev.csv"], "validation", ["my.dev.csv"]),
        (["en/train/a.csv", "en/eval/a.csv", "b.csv"], "test", ["en/eval/a.csv"]),
    ],
)  # fmt: skip
def test_what_the_names_say(names: list[str], split: str, expected: list[str], hub: HubServer, here: Path) -> None:
    add(hub, *names)
    assert labels(f"hf:{ID}", split=split) == named(*expected)


@pytest.mark.parametrize(
    ("names", "data", "said"),
    [
        (["train.csv", "test.csv"], f"hf:{ID}", "has no split 'dev': it has train, test (choose with --split)"),
        (["a.csv"], f"hf:{ID}", "has no split 'dev': it has train (choose with --split)"),
        (["colours.py"], f"hf:{ID}", f"is read by a script, which graftlm never runs: try the hub's own copy, "
         f"hf:{ID}@refs/convert/parquet"),
        (["a.zip"], f"hf:{ID}", "has no data file that graftlm reads"),
        (["dev.csv", "dev.jsonl"], f"hf:{ID}", f"has files of several kinds for split 'validation' (dev.csv, "
         f"dev.jsonl): choose with hf:{ID}/FILE"),
        (["a.csv"], f"hf:{ID}:en", "has no subset 'en': it describes none, and has no such folder"),
    ],
)  # fmt: skip
def test_what_the_names_do_not_say(names: list[str], data: str, said: str, hub: HubServer, here: Path) -> None:
    add(hub, *names)
    split = "validation" if "dev.csv" in names else "dev"
    assert refusal(data, split=split) == f"hf:{ID} {said}"


def test_a_file_of_a_data_set(hub: HubServer, here: Path) -> None:
    add(hub, "dev.csv", "dev.jsonl", "in/a.jsonl", "in/b.jsonl")
    assert labels(f"hf:{ID}/dev.jsonl") == named("dev.jsonl")
    assert labels(f"hf:{ID}/in/*.jsonl") == labels(f"hf:{ID}/in") == named("in/a.jsonl", "in/b.jsonl")


def test_the_hubs_own_parquet_copy(hub: HubServer, here: Path) -> None:
    files = {f"{subset}/{split}/0000.parquet": LINE for subset in ("en", "de") for split in ("train", "test")}
    hub.add(f"datasets/{ID}", files, "refs/convert/parquet")
    copy = f"hf:{ID}@refs/convert/parquet"
    assert refusal(copy) == f"hf:{ID} has several subsets (de, en): choose one, as in {copy}:de"
    assert labels(f"{copy}:en", split="test") == named("en/test/0000.parquet")


def test_a_revision(hub: HubServer, here: Path) -> None:
    add(hub, "old.jsonl")
    hub.add(f"datasets/{ID}", {"old.jsonl": LINE}, "v1")
    add(hub, "new.jsonl")
    assert labels(f"hf:{ID}@v1") == named("old.jsonl")
    assert labels(f"hf:{ID}") == named("new.jsonl")
    assert refusal(f"hf:{ID}@v2") == f"data set {ID} has no revision 'v2' on the hub"


def test_a_readme_that_is_no_yaml(hub: HubServer, here: Path) -> None:
    hub.add(f"datasets/{ID}", {"README.md": b"---\na: [\n---\n", "a.jsonl": LINE})
    assert refusal(f"hf:{ID}") == f"the front matter of hf:{ID}'s README is no YAML: name a file, as in hf:{ID}/FILE"
    assert labels(f"hf:{ID}/a.jsonl") == named("a.jsonl")


@pytest.mark.parametrize(
    ("front", "said"),
    [
        ("configs: 5", f"hf:{ID}'s README holds 'configs' that are no list: name a file, as in hf:{ID}/FILE"),
        ("configs: [{data_files: {1: x}}]", f"hf:{ID} has no split 'train': it has 1 (choose with --split)"),
        ("configs: [{config_name: [a]}]", f"hf:{ID}'s README holds a value of type list that is no name"),
        ('configs: [{data_files: {train: "a\\nb"}}]', f"hf:{ID}'s README holds a value of type str that is no name"),
        (f"configs: [{{config_name: 0x{'f' * 9000}}}]", f"hf:{ID}'s README holds a value of type int that is no name"),
        ("configs: [{data_files: '[z-a].jsonl'}]", "the pattern [z-a].jsonl has brackets without a meaning"),
        (f"configs: [{{data_files: '{'*a' * 300}'}}]", "a pattern of more than 500 characters (*a*a"),
        ("a: " + "[" * 20_000, f"the front matter of hf:{ID}'s README is no YAML"),
        ("a: !!int ''", f"the front matter of hf:{ID}'s README is no YAML"),
        ("a: !!bool x", f"the front matter of hf:{ID}'s README is no YAML"),
        ("a: !!timestamp x", f"the front matter of hf:{ID}'s README is no YAML"),
    ],
    ids=lambda value: value[:40],
)
def test_an_odd_readme(front: str, said: str, hub: HubServer, here: Path) -> None:
    hub.add(f"datasets/{ID}", {"README.md": f"---\n{front}\n---\n".encode(), "a.jsonl": LINE})
    sentence = refusal(f"hf:{ID}")
    assert sentence.startswith(said)
    assert "\n" not in sentence


def test_an_odd_pattern_of_the_user(hub: HubServer, here: Path) -> None:
    add(hub, "a.jsonl")
    assert refusal(f"hf:{ID}/[z-a].jsonl").startswith("the pattern [z-a].jsonl has brackets without a meaning")


@cache
def plainly(pattern: str, name: str, first: bool = True, in_folder: bool = True) -> bool:
    """What a pattern means, tried in every way. Whether a path begins here in it, and in the name, is said."""
    if not pattern:
        return not name
    for wild in ("**/", "**", "*"):
        if pattern.startswith(wild) and (wild != "**/" or first):
            ends = [i for i in range(len(name) + 1) if wild == "**" or "/" not in name[: i if wild == "*" else 0]]
            if wild == "**/":
                ends = [i for i in ends if (name[i - 1] == "/" if i else in_folder)]
            begins = wild == "**/"
            return any(
                plainly(pattern[len(wild) :], name[i:], begins, name[i - 1] == "/" if i else in_folder) for i in ends
            )
    taken, after = (pattern[1], pattern[3:]) if pattern.startswith("[") else (pattern[0], pattern[1:])
    fits = bool(name) and (name[0] == taken or (taken == "?" and name[0] != "/"))
    return fits and plainly(after, name[1:], taken == "/", name[0] == "/")


@settings(max_examples=3000, deadline=None, database=None)
@given(
    st.lists(st.sampled_from(["a", "b", "/", "?", "*", "**", "**/", "[a]"]), max_size=9).map("".join),
    st.text("ab/", max_size=9),
)
def test_a_pattern_matches_what_it_means(pattern: str, name: str) -> None:
    wanted = plainly(pattern, name) or name.startswith(pattern.rstrip("/") + "/")
    assert matching(pattern, name) == wanted


@pytest.mark.parametrize("pattern", ["*a" * 14 + "b", "**/" * 14 + "b", "**a*" * 14 + "b", "[a]*" * 30 + "b"])
def test_no_pattern_is_slow(pattern: str) -> None:
    start = time.monotonic()
    assert not matching(pattern, "a" * 60)
    assert not matching(pattern, "a/" * 300)
    assert time.monotonic() - start < 2


def test_a_gated_data_set(hub: HubServer, here: Path) -> None:
    add(hub, "a.jsonl", front={}, gated=True)
    said = refusal(f"hf:{ID}")
    assert said.startswith(f"data set {ID} is gated: accept its terms on its hub page")
    assert "hf auth login" in said


@pytest.mark.parametrize("name", ["colours", "team/", "/team/colours", "team/x:", "team/x@"])
def test_what_cannot_be_a_data_set(name: str, hub: HubServer, here: Path) -> None:
    assert refusal(f"hf:{name}").startswith(f"hf:{name} names no data set: write hf:OWNER/NAME, ")
    assert hub.asked == []


def test_a_name_that_the_hub_forbids(hub: HubServer, here: Path) -> None:
    assert refusal("hf:team/a--b").startswith("team/a--b cannot be a hub id: ")


def test_an_unknown_data_set(hub: HubServer, here: Path) -> None:
    """Also where a model has the name."""
    hub.add(ID, {"config.json": b"{}"})
    assert refusal(f"hf:{ID}").startswith(f"there is no data set {ID} on the hub, or it is private")


def test_offline(hub: HubServer, here: Path) -> None:
    """What was fetched is read without asking; what was not says so."""
    add(hub, "train.jsonl", "test.jsonl")
    lacks = f"data set {ID} is not on this machine and cannot be fetched: run once without --offline"
    assert refusal(f"hf:{ID}", offline=True) == lacks
    assert hub.asked == []
    labels(f"hf:{ID}")
    hub.asked.clear()
    assert labels(f"hf:{ID}", offline=True) == named("train.jsonl")
    assert "run once without --offline" in refusal(f"hf:{ID}", offline=True, split="test")
    assert hub.asked == []


def test_no_network(hub: HubServer, here: Path) -> None:
    hub.stop()
    said = f"data set {ID} is not on this machine and cannot be fetched: check the network, or give a file"
    assert refusal(f"hf:{ID}") == said


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        pytest.param(Answer.refusal(503, "", "Back soon"), "503", id="down"),
        pytest.param(Answer(200, {}, b"<html>Sign in to the Wi-Fi</html>"), "HF_ENDPOINT", id="portal"),
    ],
)
def test_a_hub_that_answers_something_else(hub: HubServer, here: Path, answer: Answer, said: str) -> None:
    hub.everything = answer
    sentence = refusal(f"hf:{ID}")
    assert sentence.startswith(f"data set {ID} could not be fetched from the hub: ")
    assert said in sentence
