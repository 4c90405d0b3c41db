"""The page of suites: what is asked of each kind of plugin, and what a suite must be given for it."""

from __future__ import annotations

from collections.abc import Iterator

from graftlm import testing
from graftlm.testing.judging import checks, words_of
from graftlm.testing.suite import KIT, Suite
from reference.classes import Field, fields
from reference.markdown import MADE, prose, table

BEGIN = f"""\
A suite asks everything of a kind of plugin that can be asked. Subclass it, name your plugin, and give what is required:
pytest runs it as a test class, and `graftlm plugins check` without pytest, where the plugin's spec names it (`suite=`).
What `graftlm plugins new` writes has it all. This is version {KIT} of what is asked.
"""


def suites() -> list[type[Suite]]:
    """Those that ``graftlm.testing`` exports, but for the base of all."""
    found = (getattr(testing, name) for name in testing.__all__)
    return [thing for thing in found if isinstance(thing, type) and issubclass(thing, Suite) and thing is not Suite]


def suites_page() -> str:
    """The whole of it."""
    parts = [
        MADE.format(source="core/graftlm/testing"),
        f"# What the suites ask\n\n{BEGIN}\n## Of every plugin\n\n{prose(Suite.__doc__)}\n\n",
        _checks(Suite, checks(Suite)),
    ]
    for suite in suites():
        more = [name for name in checks(suite) if name not in checks(Suite)]
        parts.append(f"\n## {suite.__name__}\n\n{prose(suite.__doc__)}\n{_given(suite)}\n{_checks(suite, more)}")
    return "".join(parts)


def _given(suite: type[Suite]) -> str:
    """What a subclass gives, or may change."""
    rows = [
        (f"`{field.name}`", f"`{field.type}`", field.default, field.meaning)
        for field in _attributes(suite)
        if not field.name.startswith("_")
    ]
    return f"\n{table(('attribute', 'type', 'default', ''), rows)}" if rows else ""


def _attributes(suite: type[Suite]) -> Iterator[Field]:
    for base in reversed(suite.__mro__):
        if issubclass(base, Suite) and base is not Suite:
            yield from fields(base, of_class=True)


def _checks(suite: type[Suite], names: list[str] | tuple[str, ...]) -> str:
    rows = []
    for name in names:
        check = getattr(suite, name)
        asked = " (where it says that it does)" if getattr(check, "optional", False) else ""
        rows.append((f"{words_of(name)}{asked}", prose(check.__doc__).replace("\n\n", " ")))
    return table(("check", ""), rows)
