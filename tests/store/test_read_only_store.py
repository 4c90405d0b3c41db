"""A store that cannot be written can be read: by every command that reads, with an index there and without one."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from kept_adapters import publish
from operations import evaluate, layout_1, tree

from graftlm_registry.adapters import AdapterStore
from graftlm_registry.adapters import index as indexing
from graftlm_registry.adapters.search import Search

READ_ONLY = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" || exit 99; shift; exec "$@"'
READING = """
import json, sys
from datetime import timedelta
from pathlib import Path
from graftlm.contracts.errors import StoreError
from graftlm_registry.adapters import AdapterStore
from graftlm_registry.adapters import index as indexing
from graftlm_registry.adapters.search import Search
from graftlm_registry.adapters.verifying import Verifying
store = AdapterStore(Path(sys.argv[1]) / "store")
said = {"names": store.names(), "newest": store.get("skill").reference, "path": store.path("skill@1").is_dir()}
said["records"] = [record.reference for record in store.records(lambda error: None)]
said["notes"] = [note.text for note in store.notes("skill@1")]
said["tagged"] = store.get("skill@best").reference if store.layout.version() > 1 else ""
said["evaluations"] = [folder.name for folder in store.evaluations("skill@1")]
said["faults"] = [f"{fault.path.name} {fault.what}" for fault in Verifying(store.layout).faults()]
with indexing.opened(store.layout) as index:
    said["list"] = [summary.adapter for summary in index.find(Search())]
    said["tags"] = sorted(index.tags().values())
said["index"] = indexing.index_faults(store.layout)
said["refused"] = []
for write in (
    lambda: store.stage(), lambda: store.tag("skill@1", "best"), lambda: store.untag("skill", "best"),
    lambda: store.note("skill@1", "x"), lambda: store.remove("skill@2"), lambda: store.restore("skill@1"),
):
    try:
        write()
        said["refused"].append("nothing")
    except StoreError as error:
        said["refused"].append(str(error))
print(json.dumps(said))
"""


def read_only(home: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """A real read-only mount: being root does not help against that."""
    if not shutil.which("unshare"):
        pytest.skip("there is no unshare here")
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", READ_ONLY, "sh", str(home), *command],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    if done.returncode in (1, 99) and "mount" in done.stderr + "unshare" and "Traceback" not in done.stderr:
        pytest.skip(f"mounts cannot be made here: {done.stderr.strip()}")
    return done


@pytest.fixture
def kept(tmp_path: Path) -> AdapterStore:
    store = AdapterStore(tmp_path / "home" / "store")
    for seed in (1, 2):
        publish(store, run=f"run-{seed}", seed=seed)
    store.tag("skill@1", "best")
    store.note("skill@1", "a note")
    evaluate(store, "skill@1")
    return store


@pytest.mark.parametrize("state", ["no index", "an index", "an index that is behind", "a damaged index"])
def test_all_that_reads_works(state: str, kept: AdapterStore) -> None:
    if state != "no index":
        with indexing.opened(kept.layout) as index:
            assert len(index.find(Search())) == 2
    if state == "an index that is behind":
        publish(kept, name="other", run="run-3")
    if state == "a damaged index":
        kept.layout.index.write_bytes(b"noise" * 1000)
    before = tree(kept.root)
    done = read_only(kept.root.parent, sys.executable, "-c", READING, str(kept.root.parent))
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    more = ["other@1"] if state == "an index that is behind" else []
    assert said["records"] == said["list"] == [*more, "skill@1", "skill@2"]
    assert (said["newest"], said["tagged"], said["path"], said["notes"]) == ("skill@2", "skill@1", True, ["a note"])
    assert (said["evaluations"], said["faults"], said["tags"]) == (["abcd-1234"], [], [["best"]])
    assert all("its file system is read-only" in line or "was not removed" in line for line in said["refused"])
    assert tree(kept.root) == before


def test_a_read_only_store_of_layout_1(tmp_path: Path) -> None:
    root = tmp_path / "home" / "store"
    layout_1(root)
    before = tree(root)
    done = read_only(root.parent, sys.executable, "-c", READING, str(root.parent))
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["records"] == said["list"] == ["other@1", "skill@1", "skill@2"]
    assert said["faults"] == ["layout.json is of an earlier layout: run graftlm store migrate"]
    assert tree(root) == before


COMMANDS = (
    ("adapters", "list"), ("adapters", "list", "--json"), ("adapters", "show", "skill@best"),
    ("adapters", "path", "skill@1"), ("adapters", "log", "skill"), ("adapters", "diff", "skill@1", "skill@2"),
    ("store", "verify"), ("store", "info"),
)  # fmt: skip
LOOK = 'for asked in "$@"; do python -c "from graftlm.cli import main; main()" $asked || exit 1; done'


@pytest.mark.parametrize("indexed", [False, True], ids=["no index", "an index"])
def test_the_commands_that_read_work(indexed: bool, kept: AdapterStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the command line, one after the other."""
    if indexed:
        with indexing.opened(kept.layout) as index:
            assert index.find(Search())
    monkeypatch.setenv("GRAFTLM_HOME", str(kept.root.parent))
    before = tree(kept.root)
    script = LOOK.replace("python", sys.executable, 1)
    done = read_only(kept.root.parent, "sh", "-c", script, "sh", *(" ".join(command) for command in COMMANDS))
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    for words in ("skill", "best", "a note", "sound", str(kept.layout.objects)):
        assert words in done.stdout, words
    assert tree(kept.root) == before


def test_the_commands_that_write_say_why_not(kept: AdapterStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAFTLM_HOME", str(kept.root.parent))
    for command in (("adapters", "tag", "skill@2", "best"), ("adapters", "rm", "skill@2", "--yes"), ("store", "gc")):
        done = read_only(kept.root.parent, sys.executable, "-c", "from graftlm.cli import main; main()", *command)
        assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
        assert "its file system is read-only: set GRAFTLM_HOME" in done.stderr, done.stderr
