"""``graftlm plugins check``: a plugin judged by its suite, without pytest."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

LINES = 20
"""Of what the process said, where it died."""
MARKS = {"passed": "green", "failed": "red", "gap": "yellow", "not asked": ""}


@click.command()
@click.argument("name", metavar="[KIND/]NAME")
@click.option("--only", multiple=True, metavar="WORDS", help="Only checks whose names have these words. Repeatable.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def check(name: str, only: Sequence[str], as_json: bool) -> None:
    """Judge a plugin by its suite.

    It says what was asked, what came of it, and why. A plugin's own suite is named by its spec; without one, what can
    be asked of its kind is. The checks are those that its author's tests run. Ends with exit code 1 where one fails:
    put the table into a report of a problem.
    """
    from graftlm.contracts.errors import UsageError
    from graftlm_registry.plugins import registry

    from .plugins import named
    from .tables import table

    known = registry()
    kind, bare = named(known, name)
    plugin, spec = known.find(kind, bare)
    told = _told(kind, spec.name, only)
    suite = next(told)
    if suite["event"] == "error":
        raise UsageError(str(suite["message"]))
    verdicts: list[Mapping[str, Any]] = []
    for verdict in told:
        if verdict["event"] == "error":
            raise UsageError(str(verdict["message"]))
        if not as_json:
            before = verdicts[-1]["reason"] if verdicts else ""
            click.echo(_line(verdict, before))
        verdicts.append(verdict)
    failed = [verdict for verdict in verdicts if verdict["state"] == "failed"]
    if as_json:
        found = {"kind": kind, "name": spec.name, "from": plugin.distribution, "version": plugin.version}
        click.echo(json.dumps({**found, "suite": suite["suite"], "kit": suite["kit"], "unasked": suite["unasked"],
                               "checks": [_without_event(verdict) for verdict in verdicts]}))  # fmt: skip
    else:
        from graftlm.version import __version__

        counts = [(s, sum(v["state"] == s for v in verdicts)) for s in MARKS]
        click.echo()
        click.echo(table([
            ("plugin", f"{kind} {spec.name} of {plugin.distribution} {plugin.version}".strip()),
            ("suite", f"{suite['suite']} (kit {suite['kit']}, graftlm {__version__})"),
            ("found", ", ".join(f"{count} {state}" for state, count in counts if count)),
            *([("not asked", str(suite["unasked"]))] if suite["unasked"] else []),
        ]))  # fmt: skip
    if failed:
        sys.exit(1)


def _line(verdict: Mapping[str, Any], before: str) -> str:
    """As it goes, for a check may take a minute. A reason that was the last one's too is not said again."""
    from .tables import table

    mark = click.style(f"{verdict['state']:9}", fg=MARKS[verdict["state"]] or None)
    line = f"{mark}  {verdict['words']}  ({verdict['seconds']:.1f} s)"
    return line if verdict["reason"] in ("", before) else f"{line}\n{table([(' ' * 9, str(verdict['reason']))])}"


def _without_event(verdict: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in verdict.items() if name != "event"}


def _told(kind: str, name: str, only: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """What a process of its own tells: first the suite, then each verdict. Torch and whatever a plugin does stay there;
    what it prints is shown where it dies.
    """
    from graftlm.contracts.errors import PluginError

    command = [sys.executable, "-m", "graftlm.testing", kind, name, *only]
    with tempfile.TemporaryFile() as said:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True, encoding="utf-8") as process:
            assert process.stdout is not None
            ended = False
            for line in process.stdout:
                told: Mapping[str, Any] = json.loads(line)
                ended = told["event"] == "error"
                yield told
        if process.returncode and not ended:
            said.seek(0)
            last = said.read().decode("utf-8", errors="replace").splitlines()[-LINES:]
            raise PluginError(
                f"the checks of {kind} {name} ended with code {process.returncode}, and the last that was said is:\n"
                + "\n".join(last)
            )
