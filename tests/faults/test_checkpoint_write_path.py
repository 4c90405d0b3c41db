"""kill -9, and every error of the disk, at every call that writes a checkpoint: one is whole once there was one."""

from __future__ import annotations

import errno
import os
import shutil
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from children import run, traced, why_not, writing_calls_of
from faults_counts import count
from os_calls import at, die, nothing, watched
from saved_runs import Saved, facts_at, saved, visible

from graftlm_registry.runs.checkpoints import Checkpoints, verified

ERRORS = ("ENOSPC", "EIO", "EDQUOT", "EROFS", "EACCES")


class Cut:
    """A run with checkpoints after steps 3 and 6, on which one after step 9 is written, and 3 removed."""

    def __init__(self, folder: Path, damaged: bool = False) -> None:
        self.folder, self.damaged = folder, damaged
        self.before = folder / "before"
        saved(self.before, 3, 3)
        if damaged:  # the run went back behind it, and comes to it again
            shutil.copytree(self.before / "checkpoints" / "step-0000000006", self.nine(self.before))
        whole = saved(folder / "whole", 3, 3)
        self.six = whole.course.losses.copy(), whole.facts()[1]
        whole.train(3)
        self.at_nine = whole.facts()

    @staticmethod
    def nine(run: Path) -> Path:
        return run / "checkpoints" / "step-0000000009"

    def copy(self) -> Path:
        root = self.folder / "run"
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(self.before, root)
        return root

    def act(self, root: Path) -> None:
        """What a worker does that goes on from step 6, as far as its next checkpoint."""
        work = Saved(root)
        assert work.go_on() == 6
        work.train(3)
        work.save()
        assert not [told for told in work.events.warnings if "no checkpoint could be written" in told] or os._exit(3)

    def check(self, root: Path) -> int:
        """The step of the newest; it is whole, so is every one that can be seen, and going on ends with the same."""
        steps = visible(root)
        for step in steps:
            if not (self.damaged and step == 9):
                verified(root / "checkpoints" / f"step-{step:010}")
        step, facts = facts_at(root)
        assert step in (6, 9), f"the newest whole one is of step {step}, of {steps}"
        assert facts == (self.six if step == 6 else self.at_nine)
        if step == 6:
            again = Saved(root)
            again.go_on()
            again.train(3)
            again.save()
            assert not [told for told in again.events.warnings if "no checkpoint" in told]
            assert facts_at(root) == (9, self.at_nine)
        assert visible(root) in ([9, 6], [9, 6, 3])  # the last is what a kill before the pruning leaves
        assert not [path for path in (root / "checkpoints").iterdir() if path.name.startswith(".")]  # it was swept
        return step


damages = pytest.mark.parametrize("damaged", [False, True], ids=["new", "in the place of a damaged one"])


@damages
def test_killed_at_every_system_call(quick: Path, figures: Callable[[str], None], damaged: bool) -> None:
    if why := why_not():
        pytest.skip(why)
    cut = Cut(quick, damaged)
    made = writing_calls_of(partial(cut.act, cut.copy()), quick / "log", reads=4)
    stride = count(short=7, whole=1)
    found: dict[int, int] = {6: 0, 9: 0}
    for offset, (name, numbers) in enumerate(made.items()):
        for number in numbers[offset % min(stride, len(numbers)) :: stride]:
            root = cut.copy()
            inject = f"inject={name}:signal=KILL:when={number}"
            ended = traced(partial(cut.act, root), "-e", f"trace={name}", "-e", inject, "-o", "/dev/null")
            assert ended.signal == signal.SIGKILL, f"{inject}: {ended}"
            try:
                found[cut.check(root)] += 1
            except Exception as error:
                raise AssertionError(f"killed by {inject}: {error}") from error
    calls = ", ".join(f"{len(numbers)} {name}" for name, numbers in made.items())
    figures(f"{sum(found.values())} kills: {found[6]} left step 6, {found[9]} step 9, 0 neither (calls: {calls})")


@damages
@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_at_every_call_of_the_os(
    quick: Path, figures: Callable[[str], None], moment: str, damaged: bool
) -> None:
    cut = Cut(quick, damaged)
    stride = count(short=3, whole=1)
    kills = number = 0
    while True:
        number += stride
        root = cut.copy()

        def killed(root: Path = root, number: int = number) -> None:
            killer = at(number, die)
            with watched(*((killer, nothing) if moment == "before" else (nothing, killer))):
                cut.act(root)

        ended = run(killed)
        if not ended.signal:
            assert not ended.said, ended.said
            break
        kills += 1
        try:
            cut.check(root)
        except Exception as error:
            raise AssertionError(f"killed {moment} call {number}: {error}") from error
    assert kills
    figures(f"{kills} kills, always a whole one")


def test_an_error_at_every_system_call(quick: Path, figures: Callable[[str], None]) -> None:
    """The run goes on without it, and says so; what was there before is still there."""
    if why := why_not():
        pytest.skip(why)
    cut = Cut(quick)
    told = unseen = turn = 0
    made = writing_calls_of(partial(cut.act, cut.copy()), quick / "log", reads=1)
    stride = count(short=23, whole=2)
    for name, numbers in made.items():
        for number in numbers:
            for error in ERRORS:
                turn += 1
                if turn % stride:
                    continue
                root = cut.copy()
                inject = f"inject={name}:error={error}:when={number}"
                ended = traced(partial(_saves, cut, root), "-e", f"trace={name}", "-e", inject, "-o", "/dev/null")
                assert not ended.signal
                if ended.said:
                    assert "one warning" in ended.said or "refused" in ended.said, f"{inject}: {ended.said}"
                    told += 1
                else:
                    unseen += 1
                try:
                    cut.check(root)
                except Exception as wrong:
                    raise AssertionError(f"{inject}: {wrong}") from wrong
    assert told
    figures(f"{told} errors told in one warning, {unseen} that did not matter, nothing lost")


def _saves(cut: Cut, root: Path) -> None:
    from graftlm.contracts.errors import UsageError

    work = Saved(root)
    if work.go_on() != 6:
        raise UsageError("a read failed, and the worker would take what it can read")
    work.train(3)
    work.save()
    if work.events.warnings:
        assert len(work.events.warnings) == 1
        assert "the last one is of step 6" in work.events.warnings[0], work.events.warnings
        raise UsageError("one warning")


def test_the_order_of_syncs_and_renames(quick: Path) -> None:
    """Every file is synced, then the folder that lists them, then comes the rename, then the folder above, and only
    then does an old one go: kill -9 cannot see a missing sync, a power cut can.
    """
    cut = Cut(quick)
    root = cut.copy()
    work = Saved(root)
    work.go_on()
    work.train(3)
    opened: dict[int, str] = {}
    with watched(names=("open", "fsync", "rename")) as calls, pytest.MonkeyPatch.context() as patch:
        real = os.open

        def noted(path: object, *arguments: int, **more: object) -> int:
            descriptor = real(path, *arguments, **more)  # type: ignore[arg-type]
            opened[descriptor] = str(path)
            synced.append(("open", str(path), descriptor))
            return descriptor

        synced: list[tuple[str, str, int]] = []
        patch.setattr(os, "open", noted)
        real_sync = os.fsync
        patch.setattr(os, "fsync", lambda fd: (synced.append(("sync", opened.get(fd, ""), fd)), real_sync(fd))[1])
        real_rename = os.rename
        patch.setattr(os, "rename", lambda a, b: (synced.append(("rename", f"{a} -> {b}", 0)), real_rename(a, b))[1])
        work.save()
    assert calls
    done = [(what, path) for what, path, _ in synced if what != "open"]
    place = next(i for i, (what, path) in enumerate(done) if what == "rename" and path.endswith("step-0000000009"))
    staged = Path(done[place][1].split(" -> ")[0])
    before = {path for what, path in done[:place] if what == "sync"}
    assert {str(staged / path.name) for path in Cut.nine(root).iterdir()} | {str(staged)} <= before
    assert done[place + 1] == ("sync", str(root / "checkpoints"))
    removed = [i for i, (what, path) in enumerate(done) if what == "rename" and ".gone-" in path]
    assert removed
    assert min(removed) > place + 1


def test_both_damaged_and_begun_again(tmp_path: Path) -> None:
    """The first checkpoint after that is of an earlier step than the damaged ones, and must not be pruned for them."""
    work = saved(tmp_path, 6, 3)
    for step in (6, 9):
        (tmp_path / "checkpoints" / f"step-{step:010}" / "state.json").write_text("{}")
    again = Saved(tmp_path)
    assert again.go_on() == 0
    assert len(again.events.warnings) == 2
    again.train(3)
    again.save()
    assert visible(tmp_path) == [3]
    assert facts_at(tmp_path)[0] == 3
    again.train(6)
    again.save()
    assert facts_at(tmp_path) == (9, work.facts())


def test_a_full_disk_is_told_each_time_in_one_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = saved(tmp_path, 3)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("graftlm_registry.runs.checkpoints.sync_file", full)
    work.train(3)
    work.save()
    assert work.events.warnings == [
        "no checkpoint could be written after step 6: [Errno 28] No space left on device; the last one is of step 3"
    ]
    monkeypatch.undo()
    work.save()
    assert visible(tmp_path) == [6, 3]
    assert Checkpoints(tmp_path / "checkpoints").newest() is not None
