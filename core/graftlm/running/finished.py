"""What came of a run that is finished, read again."""

from __future__ import annotations

from graftlm.contracts.errors import StoreError
from graftlm_registry.adapters import open_store
from graftlm_registry.runs import Run

from .forgetting import verdict
from .supervise import Trained


def trained_of(run: Run) -> Trained | None:
    """As ``supervise`` gave it; None where it is not finished, or its adapter is not kept any more."""
    outcome = run.outcome()
    if outcome is None:
        return None
    try:
        record = open_store().get(outcome.adapter)
    except StoreError:
        return None
    return Trained(outcome, record, run.folder, verdict(run.plan(), outcome.changes))
