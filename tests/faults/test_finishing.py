"""kill -9 at every call that writes while a run is finished: published once, and the rest is done again."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from children import run as run_child
from children import traced, why_not, writing_calls_of
from faults_counts import count
from os_calls import at, die, nothing, watched
from stopped_runs import plan_of

from graftlm.contracts.errors import Interrupted, UsageError
from graftlm.running.supervise import supervise
from graftlm.running.train import prepare
from graftlm.testing.in_process import start_in_process
from graftlm_registry.adapters import open_store
from graftlm_registry.adapters.collecting import collect
from graftlm_registry.plugins import registry
from graftlm_registry.runs import Run, find_run


class Finishing:
    """A run whose worker has said ``done``: all that is left is its supervisor's. Each try is of a copy of the home."""

    def __init__(self, home: Path, rows: Path, out: bool) -> None:
        self.home, self.before = home, home.with_name("before")
        run = prepare(plan_of(rows, max_steps=2), registry(), home / "out" if out else None)
        self.name, self.out = run.name, out
        self.done: Mapping[str, Any] = {}
        with pytest.raises(Interrupted):
            supervise(run, registry(), lambda event: None, start=self._worked)
        assert self.done["event"] == "done"
        self.digest = self.done["outcome"]["digest"]
        shutil.copytree(home, self.before, symlinks=True)

    def _worked(self, job: str, folder: Path, on_event: Any, /, at: Any = None) -> Any:
        last = start_in_process(job, folder, on_event)
        if job == "train":
            self.done = last
            raise KeyboardInterrupt
        return last

    def _told(self, job: str, folder: Path, on_event: Any, /, at: Any = None) -> Any:
        """The worker that has proved the adapter says so again."""
        assert job in ("train", "prove")
        return self.done

    def copy(self) -> Run:
        shutil.rmtree(self.home)
        shutil.copytree(self.before, self.home, symlinks=True)
        return find_run(self.name)

    def act(self, run: Run) -> None:
        supervise(run, registry(), lambda event: None, start=self._told)

    def check(self) -> None:
        """Whatever was cut short, going on finishes it: one version, its files whole, and nothing is left over."""
        run = find_run(self.name)
        if not run.finished:
            self.act(run)
        else:
            with pytest.raises(UsageError, match="is finished"):
                self.act(run)
        outcome = run.outcome()
        assert outcome is not None
        store = open_store()
        made = [record for record in store.records(pytest.fail) if record.run == run.name]
        assert [record.reference for record in made] == [outcome.adapter]
        assert outcome.digest == made[0].digest == self.digest
        collect(store.layout, timedelta(0))
        assert not list(store.layout.staging.iterdir())
        left = {path.name for path in run.folder.iterdir()}
        assert not left & {"staged", "scratch", "checkpoints", "encoded", "data", "initial"}, left
        assert {"outcome.json", "summary.json", "loss.png", "loss.svg", "plan.json"} <= left
        assert json.loads((run.folder / "summary.json").read_bytes())["adapter"] == outcome.adapter
        if self.out:
            assert {path.name for path in (self.home / "out").iterdir()} >= {"adapter_config.json"}


@pytest.fixture(params=[False, True], ids=["", "--out"])
def finishing(request: pytest.FixtureRequest, home: Path, alpaca: Path) -> Iterator[Finishing]:
    (home / "cache" / "chat-templates").resolve()
    yield Finishing(home, alpaca, request.param)
    os.environ["GRAFTLM_HOME"] = str(home)


@pytest.mark.slow
def test_killed_at_every_system_call(finishing: Finishing, tmp_path: Path, figures: Callable[[str], None]) -> None:
    if why := why_not():
        pytest.skip(why)
    made = writing_calls_of(partial(finishing.act, finishing.copy()), tmp_path / "log", reads=3)
    stride = count(short=40, whole=3)
    kills = 0
    for offset, (name, numbers) in enumerate(made.items()):
        for number in numbers[offset % min(stride, len(numbers)) :: stride]:
            run = finishing.copy()
            inject = f"inject={name}:signal=KILL:when={number}"
            ended = traced(partial(finishing.act, run), "-e", f"trace={name}", "-e", inject, "-o", "/dev/null")
            assert ended.signal == signal.SIGKILL or not ended.said, f"{inject}: {ended}"
            kills += bool(ended.signal)
            try:
                finishing.check()
            except Exception as error:
                raise AssertionError(f"killed by {inject}: {error}") from error
    assert kills
    figures(f"{kills} kills, each gone on with to one version ({ ({n: len(k) for n, k in made.items()}) })")


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_at_every_call_of_the_os(finishing: Finishing, moment: str, figures: Callable[[str], None]) -> None:
    stride = count(short=25, whole=1)
    kills = number = 0
    while True:
        number += stride
        run = finishing.copy()

        def killed(run: Run = run, number: int = number) -> None:
            killer = at(number, die)
            with watched(*((killer, nothing) if moment == "before" else (nothing, killer))):
                finishing.act(run)

        ended = run_child(killed)
        if not ended.signal:
            assert not ended.said, ended.said
            break
        kills += 1
        try:
            finishing.check()
        except Exception as error:
            raise AssertionError(f"killed {moment} call {number}: {error}") from error
    assert kills
    figures(f"{kills} kills, each gone on with to one version")
