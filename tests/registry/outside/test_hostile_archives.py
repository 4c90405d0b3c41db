"""Hostile archives and folders are refused in a sentence; the whole corpus within 2 s and 300 MB a case."""

from __future__ import annotations

import gzip
import json
import lzma
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from corpus_archives import good, tar, zipped
from good_adapter import CONFIG, WEIGHTS, Case, write
from hostile_corpus import ARCHIVES, CORPUS, lay_trap, refused
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graftlm.contracts.errors import GraftlmError, StoreError
from graftlm_registry.adapters.content import content_digest
from graftlm_registry.adapters.outside import folder
from graftlm_registry.adapters.outside.taking_in import take_in

LEAST, SECONDS, MEGABYTES = 150, 2.0, 300
MEASURE = """
import json, resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from hostile_corpus import CORPUS, lay_trap, refused
from good_adapter import write
from graftlm_registry.adapters.outside import taking_in
import numpy

def spent():
    both = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(used.ru_utime + used.ru_stime for used in both)

place, told = Path(sys.argv[2]), []
take_in = taking_in.take_in

def measured(source, staged):
    # what the case itself needs, not what making it needs
    Path("/proc/self/clear_refs").write_text("5")
    rest, before = memory("VmRSS"), spent()
    try:
        return take_in(source, staged)
    finally:
        told.append((spent() - before, memory("VmHWM") - rest))

def memory(what):
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(what))
    return int(line.split()[1]) / 1024

import hostile_corpus
hostile_corpus.take_in = measured
canary = lay_trap(place)
for number, case in enumerate(CORPUS):
    refused(case, place / str(number))
assert not canary.exists()
child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
banned = sorted({"torch", "transformers", "peft", "safetensors"} & sys.modules.keys())
print(json.dumps({"told": told, "child": child, "banned": banned}))
"""


@pytest.mark.parametrize("case", ARCHIVES, ids=lambda case: case.name)
def test_a_hostile_archive_or_folder_is_refused(case: Case, tmp_path: Path) -> None:
    canary = lay_trap(tmp_path)
    refused(case, tmp_path / "case")
    assert not canary.exists()


def test_the_corpus_is_large() -> None:
    assert len({case.name for case in CORPUS}) == len(CORPUS) >= LEAST


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is measured by Linux")
def test_every_case_keeps_within_its_time_and_memory(tmp_path: Path) -> None:
    """In a process of its own, which imports neither torch nor what builds on it."""
    here = str(Path(__file__).parent)
    said = subprocess.run(
        [sys.executable, "-c", MEASURE, here, str(tmp_path)], capture_output=True, text=True, timeout=600, check=False
    )
    assert said.returncode == 0, said.stderr
    found = json.loads(said.stdout)
    assert len(found["told"]) == len(CORPUS)
    slow = sorted((told[0], case.name) for told, case in zip(found["told"], CORPUS, strict=True))
    large = sorted((told[1], case.name) for told, case in zip(found["told"], CORPUS, strict=True))
    print(f"{len(CORPUS)} cases; the slowest: {slow[-3:]}; the largest: {large[-3:]}; a child: {found['child']} MB")
    assert slow[-1][0] < SECONDS, slow[-3:]
    assert large[-1][0] + found["child"] < MEGABYTES, large[-3:]
    assert found["banned"] == []


PACKED = {
    ".zip": zipped(good()),
    ".tar": tar(good()),
    ".tar.gz": gzip.compress(tar(good()), mtime=0),
    ".tar.xz": lzma.compress(tar(good())),
}


@settings(deadline=None, max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(sorted(PACKED)),
    changes=st.lists(
        st.tuples(st.integers(0, 12_000), st.binary(min_size=0, max_size=4), st.integers(0, 4)), min_size=1, max_size=3
    ),
)
def test_any_change_of_an_archive_is_refused_or_gives_an_adapter(
    kind: str, changes: list[tuple[int, bytes, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = tmp_path_factory.mktemp("changed")
    made = PACKED[kind]
    for at, new, old in changes:
        made = made[: at % len(made)] + new + made[at % len(made) + old :]
    (place / f"adapter{kind}").write_bytes(made)
    staged = place / "staged"
    staged.mkdir()
    try:
        take_in(place / f"adapter{kind}", staged)
    except GraftlmError as error:
        assert str(error).isprintable()  # noqa: PT017
        assert not list(staged.iterdir())
    else:
        assert sorted(path.name for path in staged.iterdir()) == [CONFIG, WEIGHTS]
        assert len(content_digest(staged)) == 64
    assert len(list(place.iterdir())) == 2
    shutil.rmtree(place)


@pytest.mark.parametrize("change", ["grows", "shrinks"])
def test_a_file_that_changes_while_it_is_read_is_refused(
    change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write(tmp_path)
    (tmp_path / "staged").mkdir()
    blocks = folder._blocks

    def changing(file: object, size: int) -> object:
        path = source / WEIGHTS
        if size < 500:  # the configuration
            yield from blocks(file, size)  # type: ignore[arg-type]
            return
        if change == "shrinks":
            os.truncate(path, 10)
        yield from blocks(file, size)  # type: ignore[arg-type]
        if change == "grows":
            with path.open("ab") as more:
                more.write(b"more")

    monkeypatch.setattr(folder, "_blocks", changing)
    with pytest.raises(StoreError, match="changed while it was read"):
        take_in(source, tmp_path / "staged")
    assert not list((tmp_path / "staged").iterdir())


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """Nobody writes into it: who opened it would wait for ever."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "staged").mkdir()
    ended: list[str] = []

    def take() -> None:
        try:
            take_in(tmp_path / "pipe", tmp_path / "staged")
        except StoreError as error:
            ended.append(str(error))

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    thread.join(60)
    assert ended
    assert "neither a regular file" in ended[0]


def test_a_folder_that_is_not_empty_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "staged").mkdir()
    (tmp_path / "staged" / WEIGHTS).write_text("mine")
    with pytest.raises(StoreError, match="is not empty"):
        take_in(write(tmp_path), tmp_path / "staged")
    assert (tmp_path / "staged" / WEIGHTS).read_text() == "mine"


@pytest.mark.parametrize("stop", [KeyboardInterrupt, MemoryError, OSError(28, "No space left on device")])
def test_whatever_stops_it_leaves_nothing(stop: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from graftlm_registry.adapters.outside import taking_in

    def stopped(*_: object) -> None:
        raise stop

    (tmp_path / "staged").mkdir()
    monkeypatch.setattr(taking_in, "template_text", stopped)
    with pytest.raises(StoreError if isinstance(stop, OSError) else BaseException):
        take_in(write(tmp_path), tmp_path / "staged")
    assert not list((tmp_path / "staged").iterdir())
