"""One tree of errors. A message is a sentence that says what is wrong, where, and what to do."""

from __future__ import annotations


class GraftlmError(Exception):
    """Anything that graftlm reports without a traceback.

    ``exit_code``: 2 for what the user can mend, 1 for a failure.
    """

    exit_code = 2


class UsageError(GraftlmError):
    """A flag, a key or a combination of them that cannot be."""


class DataError(GraftlmError):
    """A data set, or a record in it, that cannot be used."""


class ModelError(GraftlmError):
    """A model that cannot be found, read or used."""


class PluginError(GraftlmError):
    """A plugin that is unknown, broken, ambiguous, or not available here."""


class StoreError(GraftlmError):
    """The adapter store, or an adapter in it."""


class RunError(GraftlmError):
    """A run that failed, or did something else than its plan says."""

    exit_code = 1


class OutOfMemory(RunError):
    """There was no memory for what was asked, on the device or on the machine."""


class Diverged(RunError):
    """Training came to numbers that are none; going on from before would come to them again."""


class WorkerDied(RunError):
    """A worker ended without a word: somebody, or the system, killed it."""


class Interrupted(GraftlmError):
    """Stopped by the user. ``exit_code`` is 128 plus the signal, as a shell has it."""

    exit_code = 130


def public_name(error: BaseException) -> str:
    """The name of the class here that an error is one of (a plugin may have made subclasses), or of its own class."""
    known = (kind.__name__ for kind in type(error).__mro__ if kind.__module__ == __name__)
    return next(known, type(error).__name__)


def named_error(name: str, message: str) -> GraftlmError | None:
    """The error that another process told by its public name; None where it is none of graftlm's."""
    kind = globals().get(name)
    return kind(message) if isinstance(kind, type) and issubclass(kind, GraftlmError) else None
