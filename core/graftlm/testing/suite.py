"""What every suite has in common: a plugin by its name, what is asked of each, and gaps that are known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

from graftlm.contracts.errors import PluginError
from graftlm.contracts.spec import Spec
from graftlm_registry.discovery import Plugin
from graftlm_registry.plugins import registry

from .able import unmet
from .gaps import Gap, skip_unless, strict
from .manners import check_options, check_reasons, check_requirements, check_summary
from .registration import heavy_modules
from .surroundings import variable
from .targets import check_targets

KIT = 1
"""The version of what is asked. It grows where a suite asks more than it did."""


class Suite:
    """What is asked of one plugin. Each method named ``test_…`` is a check; pytest runs them, and so does
    ``graftlm plugins check``, which has no pytest. A check that fails raises ``AssertionError`` with a sentence.

    ``known_gaps`` are checks, by the name of their method, that the plugin does not pass. They are strict: a gap that
    is none any more is a failure, so that no list outlives its reasons.
    """

    kind: ClassVar[str] = ""
    """The kind of plugin; the attribute of this name says which one."""
    needs: ClassVar[tuple[str, ...]] = ()
    """Attributes that a subclass must give."""
    kit: ClassVar[int] = KIT
    """The version of the kit that a subclass was written for: a later kit may ask more, an earlier one cannot."""
    known_gaps: ClassVar[Mapping[str, Gap]] = {}
    folder: Path
    """An empty folder, for each check a new one; ``$GRAFTLM_HOME`` lies below it."""

    def __init_subclass__(cls, **given: Any) -> None:
        super().__init_subclass__(**given)
        if cls.kit > KIT:
            raise TypeError(
                f"{cls.__name__} asks for kit {cls.kit}, and this graftlm has kit {KIT}: install a newer one"
            )
        inherited = {name for base in cls.__mro__[1:] for name in vars(base).get("known_gaps", ())}
        for name in inherited | set(cls.known_gaps):
            check = getattr(cls, name, None)
            if not name.startswith("test_") or check is None:
                raise TypeError(f"{cls.__name__}.known_gaps names {name!r}, which is no check of it")
            plain = getattr(check, "_plain", check)
            setattr(cls, name, strict(plain, cls.known_gaps[name]) if name in cls.known_gaps else plain)

    @classmethod
    def of(cls, kind: str, name: str) -> type[Suite]:
        """The suite for a plugin that has none of its own."""
        return type(cls.__name__, (cls,), {"kind": kind, kind: name, "__module__": cls.__module__})

    @classmethod
    def lacking(cls) -> list[str]:
        """What a subclass must give, and this one does not."""
        return [n for n in cls.needs if getattr(getattr(cls, n, None), "__isabstractmethod__", not hasattr(cls, n))]

    def setup_method(self) -> None:
        self._held = ExitStack()
        self.folder = Path(
            self._held.enter_context(TemporaryDirectory(prefix="graftlm-suite-", ignore_cleanup_errors=True))
        )
        self._held.enter_context(variable("GRAFTLM_HOME", str(self.folder / "graftlm")))

    def teardown_method(self) -> None:
        self._held.close()

    @property
    def names(self) -> tuple[str, ...]:
        """The plugins that are judged: one, but where several are judged together."""
        return (getattr(self, self.kind),)

    def found(self) -> Iterator[tuple[Plugin, Spec]]:
        for name in self.names:
            yield registry().find(self.kind, name)

    def needs_it_to_run(self) -> None:
        """Leaves a check where this machine lacks what a plugin requires."""
        for _, spec in self.found():
            lacks = unmet(spec)
            skip_unless(not lacks, "; ".join(lacks))

    def test_it_is_there_by_its_own_name(self) -> None:
        """Loaded without a problem, by no other distribution too, and not by an alias."""
        for name in self.names:
            try:
                _, spec = registry().find(self.kind, name)
            except PluginError as error:
                raise AssertionError(str(error)) from None
            assert spec.name == name, f"'{name}' is an alias: the suite must name {self.kind} '{spec.name}'"
            for alias in spec.aliases:
                try:
                    registry().find(self.kind, alias)
                except PluginError as error:
                    raise AssertionError(f"{self.kind} '{name}' has the alias '{alias}': {error}") from None

    def test_what_it_says_of_itself_is_whole(self) -> None:
        """Its summary, options and requirements are what a table, a flag and pip can use."""
        for _, spec in self.found():
            check_summary(spec)
            check_options(spec)
            check_requirements(spec)

    def test_nothing_heavy_is_imported_at_registration(self) -> None:
        """Every command of graftlm loads every plugin: what is heavy comes with a target, when it is chosen."""
        for plugin, spec in self.found():
            heavy = heavy_modules(plugin, spec)
            assert not heavy, (
                f"loading {plugin.name} imports {', '.join(heavy)}: import it where it is needed, in a function"
            )

    def test_what_it_names_is_there(self) -> None:
        """Its targets can be imported, each where its requirements are installed."""
        for _, spec in self.found():
            check_targets(spec)

    def test_its_reasons_are_sentences(self) -> None:
        """Asked whether it can take part, it says yes or why not, in any situation, and raises nothing."""
        for _, spec in self.found():
            check_reasons(spec)
