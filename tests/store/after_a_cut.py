"""What must be true of a store after something was cut short in it."""

from __future__ import annotations

import shutil
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from operations import NOW, Operation, faults, leftovers, state

from graftlm.contracts.errors import StoreError
from graftlm_registry.adapters.collecting import collect
from graftlm_registry.adapters.layout import Layout


class Cut:
    """An operation on copies of one store: how it looks before, and after."""

    def __init__(self, operation: Operation, folder: Path) -> None:
        self.operation, self.folder = operation, folder
        self._before = folder / "before"
        operation.set_up(self._before)
        self.before = state(self._before)
        self.after = state(self.done(self.copy()))
        shutil.rmtree(folder / "store")

    def copy(self) -> Path:
        """A store as it is before."""
        root = self.folder / "store"
        if root.exists():
            shutil.rmtree(root)
        if self._before.exists():
            shutil.copytree(self._before, root)
        return root

    def done(self, root: Path) -> Path:
        self.operation.act(root)
        return root

    def check(self, root: Path) -> dict[str, Any]:
        """Old state or new, nothing damaged; swept clean by a collection; and the operation can be repeated."""
        found = state(root)
        assert found in (self.before, self.after), "neither the old state nor the new one"
        wrong = [fault for fault in faults(root) if not expected(self.operation, str(fault.what))]
        assert not wrong, f"verify says: {wrong}"
        if self.operation.name != "migrate" and root.exists():
            swept = self.folder / "swept"
            shutil.copytree(root, swept)
            collect(Layout(swept), NOW)
            assert state(swept) == found, "a collection lost something"
            assert not leftovers(swept), f"left over: {leftovers(swept)}"
            assert not [f for f in faults(swept) if not expected(self.operation, f.what)]
            shutil.rmtree(swept)
        if found == self.after:
            with suppress(StoreError):  # what is removed cannot be removed
                self.operation.act(root)
        else:
            self.done(root)
            assert state(root) == self.after, "repeated, it did something else"
        collect(Layout(root), timedelta(days=14))
        assert not [fault for fault in faults(root) if fault.lost]
        return found


def expected(operation: Operation, what: str) -> bool:
    """What ``verify`` may say in between, with nothing lost."""
    if operation.name in ("restore out of the trash", "gc", "gc with a grace period"):
        return "graftlm store gc puts them back" in what
    return operation.name == "migrate" and "run graftlm store migrate" in what
