"""The store: what is published stays, whole, under a name and a version; anything else leaves no trace."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from kept_adapters import CONFIG, WEIGHTS, draft, fill, publish
from safetensors.numpy import save_file

from graftlm.contracts.errors import GraftlmError, StoreError
from graftlm.contracts.serial import to_json
from graftlm_registry.adapters import AdapterStore
from graftlm_registry.adapters.content import content_digest
from graftlm_registry.adapters.layout import Layout
from graftlm_registry.adapters.names import LONGEST, RESERVED, check_name
from graftlm_registry.adapters.references import Reference, read_reference
from graftlm_registry.adapters.versions import highest, versions

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def store(tmp_path: Path) -> AdapterStore:
    return AdapterStore(tmp_path / "store")


def visible(store: AdapterStore) -> list[Path]:
    """Everything that the store holds, what is being written aside."""
    kept = (store.root / "objects", store.root / "adapters")
    return [path for folder in kept if folder.is_dir() for path in folder.rglob("*")]


# Publishing


def test_what_is_published_is_found(store: AdapterStore, tmp_path: Path) -> None:
    record = publish(store)
    assert (record.reference, store.names(), list(store.records(lambda error: None))) == (
        "skill@1",
        ["skill"],
        [record],
    )
    assert store.get("skill") == store.get("skill@1") == record
    assert store.has("skill")
    assert not store.has("skill@2")
    files = store.path("skill")
    assert sorted(path.name for path in files.iterdir()) == ["adapter_config.json", WEIGHTS, "manifest.json"]
    assert content_digest(files) == record.digest == content_digest(fill(tmp_path / "again"))
    assert not list((store.root / "staging").iterdir())


def test_publish_says_what_the_store_will_say(store: AdapterStore) -> None:
    """The caller's tuples come back as JSON's lists, now and not only later."""
    staged = fill(store.stage())
    record = store.publish(
        staged, replace(draft(content_digest(staged)), hyperparameters={"target_modules": ("q", "v")})
    )
    assert record == store.get("skill")


def test_another_store_object_finds_it(store: AdapterStore) -> None:
    record = publish(store)
    assert AdapterStore(store.root).get("skill") == record


def test_an_empty_store_is_not_made_by_reading_it(store: AdapterStore) -> None:
    assert (store.names(), list(store.records(lambda error: None)), store.has("skill")) == ([], [], False)
    assert not store.root.exists()


def test_versions_count_up_and_keep_their_meaning(store: AdapterStore) -> None:
    records = [publish(store, run=f"run-{i}", seed=i) for i in range(11)]
    assert [record.version for record in records] == list(range(1, 12))
    assert [store.get(f"skill@{r.version}") for r in records] == records == list(store.records(lambda error: None))
    assert store.get("skill").version == 11
    assert len({store.path(record.reference) for record in records}) == 11


def test_names_do_not_share_versions(store: AdapterStore) -> None:
    assert [publish(store, name=name).reference for name in ("a", "b", "a-b")] == ["a@1", "b@1", "a-b@1"]
    assert store.names() == ["a", "a-b", "b"]
    assert store.path("a") == store.path("b")  # equal files are kept once


def test_publishing_a_runs_files_again_changes_nothing(store: AdapterStore) -> None:
    first = publish(store)
    publish(store, run="run-2")
    before = visible(store)
    assert publish(store) == first
    assert visible(store) == before


def test_equal_files_of_another_run_are_a_version(store: AdapterStore) -> None:
    assert [publish(store, run=run).version for run in ("run-1", "run-2", "run-1")] == [1, 2, 1]


@pytest.mark.parametrize("seed", [0, 1])
def test_other_files_than_were_proved_are_refused(store: AdapterStore, seed: int) -> None:
    """A store that is empty, and one that holds a version already."""
    if seed:
        publish(store, seed=seed)
    before = visible(store)
    staged = fill(store.stage())
    proved = draft(content_digest(staged), run="run-2")
    weights = bytearray((staged / WEIGHTS).read_bytes())
    weights[-1] ^= 1
    (staged / WEIGHTS).write_bytes(weights)
    with pytest.raises(StoreError, match="not the one that was proved: nothing was published"):
        store.publish(staged, proved)
    assert visible(store) == before


WRITER = """
import shutil, sys
from dataclasses import replace
from pathlib import Path
from graftlm.contracts.record import AdapterRecord
from graftlm.contracts.serial import from_json
from graftlm_registry.adapters import AdapterStore
store, made, who = AdapterStore(Path(sys.argv[1])), Path(sys.argv[2]), sys.argv[3]
drafts = [from_json((made / f"{i}.draft").read_bytes(), AdapterRecord, "draft") for i in range(10)]
print("ready", flush=True)
sys.stdin.readline()
for run in (who, "shared"):
    for i in range(10 if run == who else 1):
        staged = store.stage()
        shutil.copytree(made / str(i), staged, dirs_exist_ok=True)
        print(store.publish(staged, replace(drafts[i], run=f"run-{run}-{i}")).version)
"""


def test_eight_writers_at_once_lose_nothing(store: AdapterStore, tmp_path: Path) -> None:
    """No lock: 80 publishes of ten different contents give 80 versions, each with the files that it was given.
    Then all eight publish one run: that is one version more.
    """
    made = tmp_path / "made"
    digests = [content_digest(fill(made / str(i), seed=i)) for i in range(10)]
    for i, digest in enumerate(digests):
        (made / f"{i}.draft").write_bytes(to_json(draft(digest)))
    command = [sys.executable, "-c", WRITER, str(store.root), str(made)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    writers = [subprocess.Popen([*command, str(i)], **pipes) for i in range(8)]
    assert [writer.stdout.readline() for writer in writers] == ["ready\n"] * 8
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    said = [[int(line) for line in writer.communicate(timeout=120)[0].split()] for writer in writers]
    assert [writer.returncode for writer in writers] == [0] * 8
    own = [version for versions in said for version in versions[:10]]
    assert len(set(own)) == len(own) == 80
    (shared,) = {versions[10] for versions in said}
    assert sorted([*own, shared]) == list(range(1, 82))
    records = {record.run: record for record in store.records(lambda error: None)}
    for who, numbers in enumerate(said):
        for i, version in enumerate(numbers[:10]):
            record = records[f"run-{who}-{i}"]
            assert (record.version, record.digest) == (version, digests[i])
            assert content_digest(store.path(record.reference)) == digests[i]
    assert not list((store.root / "staging").iterdir())


def test_order_of_the_writes_survives_a_crash(store: AdapterStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files, their folder, the rename, the folder above, and only then the record that points there."""
    staged = fill(store.stage())
    whose = {(path.stat().st_dev, path.stat().st_ino): path.name for path in staged.iterdir()}
    whose |= {(path.stat().st_dev, path.stat().st_ino): what for path, what in _folders(store, staged)}
    happened: list[str] = []

    def fsync(descriptor: int) -> None:
        found = os.fstat(descriptor)
        whose.update({(path.stat().st_dev, path.stat().st_ino): path.name for path in staged.glob("manifest.json")})
        happened.append(f"fsync {whose.get((found.st_dev, found.st_ino), 'record')}")
        real_fsync(descriptor)

    def rename(*paths: Any, **more: Any) -> None:
        happened.append("rename")
        real_rename(*paths, **more)

    def link(*paths: Any, **more: Any) -> None:
        happened.append("link")
        real_link(*paths, **more)
        name = Path(paths[1]).parent
        whose[name.stat().st_dev, name.stat().st_ino] = "name"

    real_fsync, real_rename, real_link = os.fsync, os.rename, os.link
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", rename)
    monkeypatch.setattr(os, "link", link)
    store.publish(staged, draft(content_digest(staged)))
    assert happened == [
        "fsync adapter_config.json",
        f"fsync {WEIGHTS}",
        "fsync manifest.json",
        "fsync staged",
        "rename",
        "fsync objects",
        "fsync root",  # the folder of adapters is empty: whoever made it may not have come to that
        "fsync adapters",  # the name's folder was made
        "fsync record",
        "link",
        "fsync name",
    ]


def _folders(store: AdapterStore, staged: Path) -> Iterator[tuple[Path, str]]:
    yield staged, "staged"
    yield store.root, "root"
    yield store.root / "objects", "objects"
    yield store.root / "adapters", "adapters"


def test_a_publish_that_is_cut_short_can_be_repeated(store: AdapterStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the rename and the record: the files lie there, nothing points at them, and the next try succeeds."""

    def crash(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", crash)
        with pytest.raises(KeyboardInterrupt):
            publish(store)
    assert (store.names(), list(store.records(lambda error: None))) == ([], [])
    assert publish(store).version == 1


# Digests


@pytest.mark.parametrize(
    "same",
    [
        lambda folder: fill(folder, config=dict(reversed(CONFIG.items()))),
        lambda folder: fill(folder, config={**CONFIG, "nested": {"a": [2, 1], "b": 1}}),
        lambda folder: fill(folder, config={**CONFIG, "target_modules": ["v_proj", "q_proj"]}),
        lambda folder: fill(folder, order=-1),
        lambda folder: with_metadata(fill(folder)),
        lambda folder: indented(fill(folder)),
    ],
    ids=["keys", "nested keys", "target modules", "tensors", "metadata", "white space"],
)
def test_digest_is_of_the_content(same: Callable[[Path], Path], tmp_path: Path) -> None:
    """PEFT writes the same adapter in other bytes from process to process."""
    one, other = fill(tmp_path / "one"), same(tmp_path / "other")
    assert any((one / name).read_bytes() != (other / name).read_bytes() for name in ("adapter_config.json", WEIGHTS))
    assert content_digest(one) == content_digest(other)


def with_metadata(folder: Path) -> Path:
    from safetensors.numpy import load_file

    save_file(load_file(folder / WEIGHTS), folder / WEIGHTS, metadata={"format": "pt"})
    return folder


def indented(folder: Path) -> Path:
    (folder / "adapter_config.json").write_text(json.dumps(CONFIG, indent=4))
    return folder


@pytest.mark.parametrize(
    "other",
    [
        lambda folder: fill(folder, seed=1),
        lambda folder: fill(folder, config={**CONFIG, "r": 8}),
        lambda folder: fill(folder, config={**CONFIG, "nested": {"b": 1, "a": [1, 2]}}),
        lambda folder: renamed(fill(folder)),
        lambda folder: reshaped(fill(folder)),
    ],
    ids=["weights", "rank", "order of a list", "name of a file", "shape"],
)
def test_digest_tells_other_content(other: Callable[[Path], Path], tmp_path: Path) -> None:
    assert content_digest(fill(tmp_path / "one")) != content_digest(other(tmp_path / "other"))


def renamed(folder: Path) -> Path:
    (folder / WEIGHTS).rename(folder / "other.safetensors")
    return folder


def reshaped(folder: Path) -> Path:
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes().replace(b"[4, 8]", b"[8, 4]"))
    return folder


# What an adapter may not hold


@pytest.mark.parametrize("kept", [0, 7, 8, 40, -1])
def test_safetensors_cut_short_are_refused(store: AdapterStore, kept: int) -> None:
    staged = fill(store.stage())
    (staged / WEIGHTS).write_bytes((staged / WEIGHTS).read_bytes()[:kept])
    with pytest.raises(StoreError, match="cut short"):
        store.publish(staged, draft("0" * 64))
    assert not visible(store)


@pytest.mark.parametrize(
    "content",
    [
        b"\xff" * 200,
        (2).to_bytes(8, "little") + b"[]",
        (14).to_bytes(8, "little") + b'{"a": "words"}',
        (9).to_bytes(8, "little") + b'{"a": {}}',
    ],
    ids=["noise", "a list", "no entry", "an empty entry"],
)
def test_what_only_calls_itself_safetensors_is_refused(store: AdapterStore, content: bytes) -> None:
    staged = fill(store.stage())
    (staged / WEIGHTS).write_bytes(content)
    with pytest.raises(StoreError, match=WEIGHTS):
        store.publish(staged, draft("0" * 64))
    assert not visible(store)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda part: (
        st.lists(part, max_size=3) | st.dictionaries(st.sampled_from(["dtype", "shape", "data_offsets", "a"]), part)
    ),
    max_leaves=8,
)


@UNHURRIED
@given(header=JSON, data=st.binary(max_size=8))
def test_any_header_gives_a_digest_or_a_sentence(header: Any, data: bytes, tmp_path: Path) -> None:
    text = json.dumps(header).encode()
    path = tmp_path / WEIGHTS
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    try:
        assert len(content_digest(tmp_path)) == 64
    except StoreError as error:
        assert WEIGHTS in str(error)  # noqa: PT017


def test_bytes_behind_the_tensors_are_refused(store: AdapterStore) -> None:
    """They would be in no digest, so that one name could hold two contents."""
    staged = fill(store.stage())
    digest = content_digest(staged)
    with (staged / WEIGHTS).open("ab") as file:
        file.write(b"stowaway")
    with pytest.raises(StoreError, match=WEIGHTS):
        store.publish(staged, draft(digest))
    assert not visible(store)


@pytest.mark.parametrize("name", ["adapter_model.bin", "optimizer.pt", "weights.pkl", "weights.pth", "README.md"])
def test_pickles_and_strange_files_are_refused(store: AdapterStore, name: str) -> None:
    staged = fill(store.stage())
    digest = content_digest(staged)
    (staged / name).write_bytes(b"\x80\x04N.")
    with pytest.raises(StoreError, match="neither safetensors nor JSON"):
        store.publish(staged, draft(digest))
    assert not visible(store)


def test_links_and_folders_are_refused(store: AdapterStore, tmp_path: Path) -> None:
    """A link could change its content after it was digested."""
    for make in (lambda path: path.symlink_to(fill(tmp_path / "else") / WEIGHTS), lambda path: path.mkdir()):
        staged = fill(store.stage())
        make(staged / "more.safetensors")
        with pytest.raises(StoreError, match="not a regular file"):
            store.publish(staged, draft("0" * 64))
        assert not visible(store)


@pytest.mark.parametrize("text", ["{", "\xff", "[]", "", '"words"', '{"target_modules": ["a", 1]}'])
def test_a_config_that_is_none_is_refused(store: AdapterStore, text: str) -> None:
    staged = fill(store.stage())
    (staged / "adapter_config.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(StoreError):
        store.publish(staged, draft("0" * 64))
    assert not visible(store)


# Names

HOSTILE = st.one_of(
    st.text(max_size=80),
    st.text(alphabet="abz019._-", max_size=LONGEST + 2),
    st.text(alphabet="aA.é/\\ @:\0ß", max_size=8),
    st.sampled_from(sorted(RESERVED)).flatmap(
        lambda word: st.sampled_from([word, word.upper(), f"{word}.a", f"{word}-a"])
    ),
    st.builds(
        lambda name, end: name + end, st.sampled_from(["a", "a.b"]), st.sampled_from([".", "..", "/", "\n", " ", "é"])
    ),
)


@UNHURRIED
@given(HOSTILE)
@example("")
@example(".")
@example("..")
@example("../skill")
@example("/etc/passwd")
@example("a" * (LONGEST + 1))
@example("a..b")
@example("con")
@example("lpt1.txt")
@example("١")
@example("ﬁ")
def test_a_name_is_refused_or_is_the_same_everywhere(name: str) -> None:
    """What is accepted means one thing on every file system, and is never a path."""
    try:
        check_name(name)
    except StoreError:
        return
    assert name.isascii()
    assert name == name.casefold()
    assert 0 < len(name) <= 64
    assert name[0].isalnum()
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_.")
    assert ".." not in name
    assert not name.endswith((".", " "))
    assert Path(name).parts == (name,)
    assert not re.fullmatch(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", name)


@UNHURRIED
@given(st.from_regex(r"[a-z0-9]([a-z0-9_-]|\.[a-z0-9]){0,31}", fullmatch=True))
@example("a" * LONGEST)
@example("qwen2.5-support")
@example("0")
def test_ordinary_names_are_accepted(name: str) -> None:
    if name.partition(".")[0] not in RESERVED:
        assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "Skill",
        "é",
        "..",
        "a/b",
        "a\\b",
        "nul",
        "com1",
        "aux.x",
        "a.",
        ".a",
        "-a",
        "_a",
        "a b",
        "",
        "a\n",
        "a" * 65,
        "a@1",
    ],
)
def test_hostile_names_are_refused(name: str, store: AdapterStore) -> None:
    staged = fill(store.stage())
    with pytest.raises(StoreError, match="is not a name for an adapter"):
        store.publish(staged, draft(content_digest(staged), name=name))
    assert not visible(store)


@UNHURRIED
@given(HOSTILE)
def test_asking_for_a_hostile_name_is_an_error_and_nothing_else(name: str) -> None:
    with pytest.raises(StoreError):
        AdapterStore(Path("/nowhere/at/all")).get(name)


def test_a_hostile_name_is_refused_before_anything_runs(home: Path, alpaca: Path, run: Callable[..., Any]) -> None:
    said = run("train", alpaca, "--model", "tiny-mistral", "--name", "../skill")
    assert said.code == 2
    assert "is not a name for an adapter" in said.err
    assert not (home / "store").exists()


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("a", Reference("a")),
        ("a.b-c@1", Reference("a.b-c", version=1)),
        ("a@120", Reference("a", version=120)),
        ("a@best", Reference("a", tag="best")),
        ("a@v1.2", Reference("a", tag="v1.2")),
    ],
)
def test_references(text: str, reference: Reference) -> None:
    assert read_reference(text) == reference


@pytest.mark.parametrize(
    "reference",
    ["a@", "a@0", "a@01", "a@-1", "a@1.0", "a@X", "a@1@2", "a@b@c", "@1", "a@²", "a@١", "a@1x", "a@b/"],
)
def test_references_that_are_none(reference: str) -> None:
    with pytest.raises(StoreError):
        read_reference(reference)


def test_an_unknown_name_suggests_the_nearest(store: AdapterStore) -> None:
    with pytest.raises(StoreError, match=r"unknown adapter 'sentment'\. Available: none"):
        store.get("sentment")
    for name in ("sentiment", "subjects"):
        publish(store, name=name)
    with pytest.raises(StoreError, match=r"Did you mean 'sentiment'\? Available: sentiment, subjects"):
        store.get("sentment")
    with pytest.raises(StoreError, match=r"sentiment has no version 2; it has 1"):
        store.path("sentiment@2")


# Stores that cannot be used


def test_a_layout_from_the_future_is_left_alone(store: AdapterStore) -> None:
    store.prepare()
    (store.root / "layout.json").write_text('{"layout": 3}')
    with pytest.raises(StoreError, match="layout 3, and this graftlm knows 2: update graftlm"):
        store.stage()


def test_files_that_are_gone_are_missed(store: AdapterStore) -> None:
    shutil.rmtree(store.path(publish(store).reference))
    with pytest.raises(StoreError, match="the files of skill are gone"):
        store.path("skill")


def test_a_record_that_is_damaged_is_a_sentence(store: AdapterStore) -> None:
    publish(store)
    (store.root / "adapters" / "skill" / "1.json").write_text('{"name": "skill"')
    with pytest.raises(GraftlmError, match=r"the record .*1\.json is damaged"):
        store.get("skill")


def refused(said: Any) -> str:
    """The one sentence that a command ended with."""
    assert said.code == 2, said.err
    assert "Traceback" not in said.err
    (line,) = said.err.splitlines()
    return str(line)


def test_a_file_in_the_way_of_the_home(
    tmp_path: Path, alpaca: Path, run: Callable[..., Any], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the home itself, and of the store in it."""
    asked = ("train", alpaca, "--model", "tiny-mistral", "--max-steps", "1")
    (home / "store").write_text("")
    line = refused(run(*asked))
    assert f"the store {home / 'store'} cannot be used: a file stands where a folder should" in line
    assert "GRAFTLM_HOME" in line
    blocked = tmp_path / "blocked"
    blocked.write_text("")
    monkeypatch.setenv("GRAFTLM_HOME", str(blocked))
    assert "a file stands where a folder should" in refused(run(*asked))
    assert blocked.read_text() == ""


READ_ONLY = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" || exit 99; shift; exec "$@"'


def test_a_home_that_is_read_only(alpaca: Path, home: Path) -> None:
    """A real one: being root does not help against a read-only mount."""
    if not shutil.which("unshare"):
        pytest.skip("there is no unshare here")
    graftlm = [sys.executable, "-c", "from graftlm.cli import main; main()"]
    command = ["unshare", "-rm", "sh", "-c", READ_ONLY, "sh", str(home), *graftlm]
    asked = ["train", str(alpaca), "--model", "tiny-mistral", "--max-steps", "1"]
    done = subprocess.run([*command, *asked], capture_output=True, text=True, check=False, timeout=120)
    if done.returncode in (1, 99) and "graftlm" not in done.stderr:
        pytest.skip(f"mounts cannot be made here: {done.stderr.strip()}")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "its file system is read-only: set GRAFTLM_HOME" in line
    assert not (home / "store").exists()


def test_the_drafts_version_does_not_matter(store: AdapterStore) -> None:
    staged = fill(store.stage())
    assert store.publish(staged, replace(draft(content_digest(staged)), version=7)).version == 1


@UNHURRIED
@given(count=st.integers(0, 40), removed=st.sets(st.integers(1, 40)))
def test_the_highest_number_is_found_in_a_few_looks(count: int, removed: set[int], tmp_path: Path) -> None:
    layout = Layout(tmp_path / f"{count}-{len(removed)}-{os.urandom(4).hex()}")
    folder = layout.adapters / "skill"
    folder.mkdir(parents=True)
    for number in range(1, count + 1):
        layout.record("skill", number).touch()
        if number in removed:
            layout.removed("skill", number).touch()
    assert highest(layout, "skill") == count == versions(layout, "skill").last
