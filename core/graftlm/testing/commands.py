"""What is asked of a command: it is found, starts at once, says how it is called, and refuses in sentences."""

from __future__ import annotations

import os
import subprocess
import sys
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar

from graftlm.contracts.command import Command
from graftlm_registry.plugins import registry

from .manners import is_sentence
from .registration import HEAVY
from .suite import Suite

NOBODYS_FLAG = "--there-is-no-such-flag"
PATIENCE = 120.0
"""Seconds that a call may take."""
CALLED = """
import sys
from graftlm.entry import main
try:
    main()
finally:
    print(*sorted({name.partition(".")[0] for name in sys.modules} & set(%r.split())), file=sys.stderr)
"""


@dataclass(frozen=True, slots=True)
class Said:
    """What a call printed, and how it ended. ``heavy`` are the heavy modules that it imported, where that was asked."""

    call: str
    code: int
    out: str
    err: str
    heavy: tuple[str, ...] = ()


class CommandSuite(Suite):
    """Subclass, name the ``command``, and give calls that work and calls that it must refuse, each a sequence of
    arguments behind the command's name.
    """

    kind = "command"
    needs = ("works", "refused")
    command: ClassVar[str]

    @abstractmethod
    def works(self) -> Sequence[Sequence[str]]:
        """Calls that must succeed."""

    @abstractmethod
    def refused(self) -> Sequence[Sequence[str]]:
        """Calls with something that the user can mend."""

    @property
    def spec(self) -> Command:
        return registry().get(Command, self.command)

    @property
    def words(self) -> tuple[str, ...]:
        """How it is called: behind ``graftlm``."""
        return (self.spec.group, self.spec.name) if self.spec.group else (self.spec.name,)

    @property
    def who(self) -> str:
        return f"'graftlm {' '.join(self.words)}'"

    def call(self, *arguments: str, heavy: bool = False) -> Said:
        """``graftlm ARGUMENTS`` in a process of its own, in the suite's folder."""
        program = ["-c", CALLED % " ".join(HEAVY)] if heavy else ["-m", "graftlm"]
        called = f"'graftlm {' '.join(arguments)}'"
        paths = os.pathsep.join(path for path in sys.path if path)
        try:
            done = subprocess.run(
                [sys.executable, *program, *arguments], capture_output=True, text=True, check=False, timeout=PATIENCE,
                cwd=self.folder, env={**os.environ, "PYTHONPATH": paths, "COLUMNS": "120"}, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{called} did not end within {PATIENCE:.0f} seconds") from None
        err, _, last = done.stderr.rstrip("\n").rpartition("\n") if heavy else (done.stderr, "", "")
        return Said(called, done.returncode, done.stdout, err, tuple(last.split()))

    def test_its_target_is_a_click_command(self) -> None:
        import click

        from graftlm.worker.targets import resolve_target

        self.needs_it_to_run()
        found = resolve_target(self.spec.target)
        assert isinstance(found, click.Command), (
            f"the target of command '{self.command}', {self.spec.target!r}, is a {type(found).__name__}, and no click "
            "command: is the decorator @click.command() there?"
        )

    def test_no_command_of_graftlm_hides_it(self) -> None:
        """A built-in one of its name, or a group that is none, would be found in its stead."""
        import click

        # by their names: the command line stands above the kit, and uses it
        main: Any = import_module("graftlm.cli").cli
        takes: Any = import_module("graftlm.cli.open_group").OpenGroup
        context, group = click.Context(main), main
        if self.spec.group:
            group = main.get_command(context, self.spec.group)
            said = f"command '{self.command}' wants to stand under '{self.spec.group}'"
            assert isinstance(group, click.Group), f"{said}, and graftlm has no such group"
            assert isinstance(group, takes), f"{said}, which takes no commands of plugins"
        own = import_module("graftlm.cli.lazy").LazyGroup.list_commands(group, context)
        for name in (self.spec.name, *self.spec.aliases):
            assert name not in own, (
                f"graftlm has a command {' '.join(filter(None, ('graftlm', self.spec.group, name)))!r} of its own: "
                f"{self.who} can never be called by it"
            )

    def test_graftlm_s_help_lists_it(self) -> None:
        said = self.call(*self.words[:-1], "--help")
        listed = [line.split() for line in said.out.splitlines()]
        assert any(line[:1] == [self.spec.name] for line in listed), f"{said.call} does not list '{self.spec.name}'"
        assert " ".join(self.spec.summary.split()) in " ".join(said.out.split()), (
            f"{said.call} does not say what {self.who} does: {self.spec.summary!r}"
        )

    def test_its_help_comes_at_once(self) -> None:
        """Without torch and the like, and it says in a line what the command does."""
        self.needs_it_to_run()
        said = self.call(*self.words, "--help", heavy=True)
        assert said.code == 0, f"{said.call} ended with exit code {said.code}: {_last(said.err)}"
        assert not said.heavy, (
            f"{said.call} imports {', '.join(said.heavy)}: import it in the function that needs it, not beside it"
        )
        usage, _, rest = said.out.partition("\n")
        assert usage.startswith("Usage: ") and self.spec.name in usage, f"{said.call} does not begin with its usage"
        first = next((line.strip() for line in rest.splitlines() if line.strip()), "")
        assert first and first not in ("Options:", "Commands:"), (
            f"{said.call} does not say what it does: give the function a docstring"
        )

    def test_a_flag_that_it_does_not_know_is_refused(self) -> None:
        self.needs_it_to_run()
        works = next(iter(self.works()), ())  # refused for the flag, and for nothing else
        said = self.call(*self.words, *works, NOBODYS_FLAG)
        assert said.code == 2, f"{said.call} ended with exit code {said.code}: an unknown flag is an error with code 2"
        assert NOBODYS_FLAG in said.err, f"{said.call} does not say which flag is unknown: {_last(said.err)!r}"
        _is_said_well(said)

    def test_what_works_works(self) -> None:
        self.needs_it_to_run()
        calls = self.works()
        assert calls, f"the suite of {self.who} gives no call that works"
        for arguments in calls:
            said = self.call(*self.words, *arguments)
            assert said.code == 0, f"{said.call} ended with exit code {said.code}: {_last(said.err)}"
            assert "Traceback" not in said.out + said.err, f"{said.call} shows a traceback"

    def test_what_is_wrong_is_said_in_a_sentence(self) -> None:
        """On stderr, with exit code 2 where the user can mend it, else 1; without a traceback."""
        self.needs_it_to_run()
        calls = self.refused()
        assert calls, f"the suite of {self.who} gives no call that must be refused"
        for arguments in calls:
            said = self.call(*self.words, *arguments)
            assert said.code != 0, f"{said.call} ended as if all were well: something is wrong with it"
            assert said.code in (1, 2), f"{said.call} ended with exit code {said.code}: give 2 where a user can mend it"
            _is_said_well(said)


def _is_said_well(said: Said) -> None:
    both = said.out + said.err
    assert "Traceback" not in both, f"{said.call} shows a traceback: {_last(both)!r}"
    assert "a bug in graftlm" not in both, (
        f"{said.call} lets an error of Python through, {_last(both)!r}: raise a GraftlmError such as UsageError, with "
        "what to do"
    )
    lines = [line for line in said.err.splitlines() if line.startswith("Error: ")]
    assert lines, f"{said.call} says nothing on stderr that begins with 'Error: ': {_last(both)!r}"
    assert is_sentence(lines[0].removeprefix("Error: ")), f"{said.call} says {lines[0]!r}, which is no sentence"


def _last(text: str) -> str:
    return next((line for line in reversed(text.splitlines()) if line.strip()), "")
