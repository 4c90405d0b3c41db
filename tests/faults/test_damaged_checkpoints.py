"""Any byte that is not as it was written: the earlier checkpoint is taken, with a warning, and the end is the same."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from faults_counts import count
from saved_runs import Saved, facts_at, saved
from stopped_runs import differences, plan_of, stopped, whole

from graftlm.running.run_events import events_of
from graftlm.running.supervise import supervise
from graftlm.running.train import prepare
from graftlm.testing.in_process import start_in_process
from graftlm_registry.plugins import registry

FILES = ("manifest.json", "weights.safetensors", "state.safetensors", "state.json", "course.json", "best.safetensors")
NEWEST, EARLIER = "step-0000000006", "step-0000000003"


def flipped(path: Path, place: int, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1 << bit
    path.write_bytes(bytes(data))


def zeroed(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def halved(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def one_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def one_more(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def removed(path: Path) -> None:
    path.unlink()


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def of_the_older(path: Path) -> None:
    older = path.parent.parent / EARLIER / path.name
    path.unlink()
    shutil.copyfile(older, path)


DAMAGES = (zeroed, halved, one_short, one_more, emptied, removed, a_folder, a_loop, of_the_older)


def is_damaged(run: Path) -> bool:
    """A worker takes the earlier one, and says why in one warning."""
    found = Saved(run)
    step = found.go_on()
    if step == 6:
        return False
    assert step == 3
    assert len(found.events.warnings) == 1
    assert NEWEST in found.events.warnings[0]
    assert found.events.warnings[0].endswith(": an earlier one is taken")
    return True


@pytest.fixture
def run(quick: Path) -> Path:
    saved(quick / "run", 3, 3)
    for step in (NEWEST, EARLIER):  # each file is its own, and differs from one to the other
        assert {path.name for path in (quick / "run" / "checkpoints" / step).iterdir()} == set(FILES)
    return quick / "run"


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda d: d.__name__)
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file(run: Path, name: str, damage: Callable[[Path], None]) -> None:
    path = run / "checkpoints" / NEWEST / name
    before = path.read_bytes()
    shutil.copyfile(path, fresh := path.with_name("fresh"))  # best weights are a link
    fresh.replace(path)
    damage(path)
    same = path.is_file() and not path.is_symlink() and path.read_bytes() == before
    assert is_damaged(run) == (not same)


def test_any_changed_bit(run: Path, figures: Callable[[str], None]) -> None:
    """Of every file, every byte, or some of them."""
    stride = count(short=61, whole=1)
    flips = 0
    for name in FILES:
        path = run / "checkpoints" / NEWEST / name
        whole = path.read_bytes()
        for place in range(0, len(whole), stride):
            flipped(path, place, place % 8)
            assert is_damaged(run), f"bit {place % 8} of byte {place} of {name}"
            path.write_bytes(whole)
            flips += 1
    assert facts_at(run)[0] == 6
    figures(f"{flips} flipped bits, each seen")


def test_any_missing_byte(run: Path, figures: Callable[[str], None]) -> None:
    stride = count(short=97, whole=3)
    cuts = 0
    for name in FILES:
        path = run / "checkpoints" / NEWEST / name
        whole = path.read_bytes()
        for place in range(0, len(whole), stride):
            path.write_bytes(whole[:place] + whole[place + 1 :])
            assert is_damaged(run), f"byte {place} of {name}"
            path.write_bytes(whole)
            cuts += 1
    figures(f"{cuts} missing bytes, each seen")


def test_folders_that_change_places(run: Path) -> None:
    newest, earlier = (run / "checkpoints" / name for name in (NEWEST, EARLIER))
    newest.rename(run / "checkpoints" / "other")
    shutil.copytree(earlier, newest)
    assert is_damaged(run)
    shutil.rmtree(newest)
    (run / "checkpoints" / "other").rename(newest)
    assert not is_damaged(run)


def test_of_another_plan(run: Path) -> None:
    from graftlm_registry.runs.checkpoints import Checkpoints

    told: list[str] = []
    assert Checkpoints(run / "checkpoints").newest("another plan's hash", told.append) is None
    assert [text.rpartition(" is ")[2] for text in told] == ["of another plan", "of another plan"]


@pytest.mark.parametrize("both", [False, True], ids=["the newest", "both"])
def test_a_real_run_goes_on_from_the_earlier_one(home: Path, alpaca: Path, both: bool) -> None:
    """Or begins again; either way it ends with the same, and a damaged one is never taken."""
    plan = plan_of(alpaca, keep="best")
    one = whole(plan)
    run = prepare(plan, registry())
    assert stopped(run, "micro-batch", 10)
    assert run.checkpoints().steps() == [4, 2]
    for step in (4, 2) if both else (4,):
        halved(run.checkpoints().folder / f"step-{step:010}" / "state.safetensors")
    made = supervise(run, registry(), lambda event: None, start=start_in_process).outcome
    assert differences(one, made) == {}
    assert made.resumed == (() if both else (2,))
    warnings = [event["message"] for event in events_of(run.folder) if event["event"] == "warning"]
    assert len([text for text in warnings if "is not as it was written: an earlier one is taken" in text]) == 1 + both
