"""``graftlm plugins list|show``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click


@click.group()
def plugins() -> None:
    """List and show the plugins."""


@plugins.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def list_(as_json: bool) -> None:
    """Every plugin by kind, and what keeps it from being used here."""
    from graftlm.planning.requirements import missing
    from graftlm_registry.plugins import registry

    from .tables import table

    known = registry()
    found: list[dict[str, Any]] = [
        {
            "kind": spec.kind, "name": spec.name, "from": plugin.distribution, "summary": spec.summary,
            "problems": [spec.unavailable] if spec.unavailable else missing(spec.requires),
        }
        for plugin, spec in known.contributions()
    ]  # fmt: skip
    broken = [{"name": p.name, "from": p.distribution, "problem": p.problem} for p in known.plugins if p.problem]
    if as_json:
        click.echo(json.dumps({"plugins": found, "broken": broken}))
        return
    kinds = list(known.kinds())
    rows = [
        (
            str(f["kind"]),
            str(f["name"]),
            str(f["from"]),
            _availability(f["problems"]) or str(f["summary"]),
        )
        for f in sorted(found, key=lambda f: kinds.index(str(f["kind"])))
    ]
    click.echo(table(rows, ("kind", "name", "from", "what it is")))
    for plugin in broken:
        click.echo(f"not loaded: {plugin['name']} of {plugin['from']}: {plugin['problem']}", err=True)


def _availability(problems: Sequence[str]) -> str:
    """The first thing that is missing, and how many more; ``plugins show`` has them all."""
    more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
    return f"not available here: {problems[0]}{more}" if problems else ""


@plugins.command()
@click.argument("name", metavar="[KIND/]NAME")
def show(name: str) -> None:
    """One plugin: what it needs, and its options."""
    from graftlm.contracts.errors import PluginError
    from graftlm.planning.requirements import missing
    from graftlm_registry.plugins import registry
    from graftlm_registry.suggestions import unknown

    from .tables import table

    known = registry()
    kind, slash, bare = name.rpartition("/")
    if slash and kind not in known.kinds():
        raise PluginError(unknown("kind of plugin", kind, known.kinds()))
    kinds = (
        [kind]
        if slash
        else [k for k in known.kinds() if any(bare in (s.name, *s.aliases) for _, s in known.contributions(k))]
    )
    if not kinds:
        raise PluginError(unknown("plugin", bare, {s.name for _, s in known.contributions()}))
    if len(kinds) > 1:
        raise PluginError(f"'{bare}' is a name of several kinds: say {' or '.join(f'{k}/{bare}' for k in kinds)}")
    plugin, spec = known.find(kinds[0], bare)
    needs = [f"{r.distribution or r.device} {r.range}".strip() for r in spec.requires]
    why = [f"no: {spec.unavailable}"] if spec.unavailable else missing(spec.requires)
    rows = [
        ("kind", spec.kind), ("name", spec.name), ("what it is", spec.summary),
        ("aliases", ", ".join(spec.aliases) or "none"),
        ("from", f"{plugin.distribution} {plugin.version}".strip() + f" ({plugin.name})"),
        ("needs", ", ".join(needs) or "nothing"), ("available", "; ".join(why) if why else "yes"),
    ]  # fmt: skip
    click.echo(table(rows))
    if spec.options:
        options = [(f"--set {spec.kind}.{o.name}=", o.type, str(o.default), o.help) for o in spec.options]
        click.echo("\n" + table(options, ("option", "type", "default", "what it does")))
