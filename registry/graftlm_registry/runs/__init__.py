"""The runs that are kept: each a folder, picked by its name."""

from .folder import Run, all_runs, find_run, make_run

__all__ = ["Run", "all_runs", "find_run", "make_run"]
