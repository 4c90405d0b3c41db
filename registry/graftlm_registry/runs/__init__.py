"""The runs that are kept: each a folder, picked by its name."""

from .folder import Run, all_runs, find_run, make_run
from .state import STATES, State, Status, status_of

__all__ = ["STATES", "Run", "State", "Status", "all_runs", "find_run", "make_run", "status_of"]
