"""kill -9 at every call that writes while a run is laid out: it is there whole, or there is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from children import run as run_child
from faults_counts import count
from os_calls import at, die, nothing, watched
from stopped_runs import carried_on, differences, plan_of, whole

from graftlm.running.jobs import read_job
from graftlm.running.train import prepare
from graftlm_registry.plugins import registry
from graftlm_registry.runs import all_runs


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_run_is_there_whole_or_not_at_all(
    home: Path, alpaca: Path, moment: str, figures: Callable[[str], None]
) -> None:
    plan = plan_of(alpaca, max_steps=2, val_split=0.0)
    one = whole(plan)
    known = {run.name for run in all_runs()}
    stride = count(short=7, whole=1)
    there = kills = number = 0
    while True:
        number += stride

        def killed(number: int = number) -> None:
            killer = at(number, die)
            with watched(*((killer, nothing) if moment == "before" else (nothing, killer))):
                prepare(plan, registry())

        ended = run_child(killed)
        fresh = [run for run in all_runs() if run.name not in known]
        for run in fresh:
            assert run.plan() == plan
            assert read_job(run.folder).run == run.name
        if not ended.signal:
            assert not ended.said, ended.said
            assert len(fresh) == 1
            assert differences(one, carried_on(fresh[0])) == {}
            break
        kills += 1
        there += len(fresh)
        for run in fresh:
            run.remove()
    assert kills
    figures(f"{kills} kills: {there} left a whole run, {kills - there} none")
