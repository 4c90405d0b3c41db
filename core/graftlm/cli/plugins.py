"""``graftlm plugins list|show|check|new``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from .plugins_check import check
from .plugins_new import new

if TYPE_CHECKING:
    from graftlm.contracts.spec import Requirement, Spec
    from graftlm.contracts.specs import Environment
    from graftlm_registry.discovery import Plugin
    from graftlm_registry.plugins import Registry


NAMED = 4
"""Of what a plugin gives, in a table."""


@click.group()
def plugins() -> None:
    """List, show, check and write plugins."""


@plugins.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@click.option("--trace", is_flag=True, help="Who was loaded from where, how long it took, who was not, and why.")
def list_(as_json: bool, trace: bool) -> None:
    """Every plugin by kind, and what keeps it from being used here.

    GRAFTLM_PLUGINS=none, or a,b, says which plugins of other distributions may load; --no-plugin NAME leaves one out.
    """
    from graftlm_registry.plugins import registry

    from .tables import table

    known = registry()
    if trace:
        click.echo(json.dumps(_traced(known.plugins)) if as_json else _trace_table(known.plugins))
        return
    found: list[dict[str, Any]] = [
        {
            "kind": spec.kind, "name": spec.name, "from": plugin.distribution, "summary": spec.summary,
            "problems": _problems(spec),
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


def _traced(plugins: Sequence[Plugin]) -> list[dict[str, Any]]:
    return [
        {
            "name": p.name, "from": p.distribution, "version": p.version, "place": p.place,
            "milliseconds": round(1000 * p.seconds, 1), "gives": [f"{spec.kind}/{spec.name}" for spec in p.specs],
            "left_out_by": p.left_out, "problem": p.problem,
        }
        for p in plugins
    ]  # fmt: skip


def _trace_table(plugins: Sequence[Plugin]) -> str:
    from .tables import table

    rows = [
        (
            p.name,
            f"{p.distribution} {p.version}".strip(),
            f"{1000 * p.seconds:.1f} ms" if p.seconds else "",
            (p.left_out and f"left out by {p.left_out}")
            or (p.problem and f"not loaded: {p.problem}")
            or _given(p.specs),
            "" if p.built_in else p.place,
        )
        for p in sorted(plugins, key=lambda p: p.built_in)
    ]
    total = sum(p.seconds for p in plugins)
    return f"{table(rows, ('plugin', 'distribution', 'took', 'gives', 'where'))}\n\n{1000 * total:.0f} ms in all"


def _given(specs: Sequence[Spec]) -> str:
    names = [f"{spec.kind}/{spec.name}" for spec in specs]
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def _problems(spec: Spec) -> list[str]:
    """What keeps a plugin from being used here, as far as it is cheap to say."""
    from graftlm.planning.requirements import missing

    if spec.unavailable:
        return [spec.unavailable]
    environment: Environment | None = getattr(spec, "environment", None)
    if environment is None:
        return missing((*spec.requires, *_of_preset(spec)))
    from graftlm.environments.places import how_to_make, manifest_of

    if manifest_of(environment.name).is_file():
        return []
    return [f"its environment is not made ({how_to_make(environment.name, environment.download_mb)})"]


def _of_preset(spec: Spec) -> Iterator[Requirement]:
    """What the accelerators of a preset require."""
    from graftlm_registry.plugins import registry

    names = getattr(spec, "accelerators", ())
    return (r for _, found in registry().contributions("accelerator") if found.name in names for r in found.requires)


def _availability(problems: Sequence[str]) -> str:
    """The first thing that is missing, and how many more; ``plugins show`` has them all."""
    more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
    return f"not available here: {problems[0]}{more}" if problems else ""


@plugins.command()
@click.argument("name", metavar="[KIND/]NAME")
def show(name: str) -> None:
    """One plugin: what it needs, and its options."""
    from graftlm.contracts.specs import Accelerator, Backend
    from graftlm_registry.plugins import registry

    from .tables import table

    known = registry()
    plugin, spec = known.find(*named(known, name))
    needs = [f"{r.distribution or r.device} {r.range}".strip() for r in spec.requires]
    environment: Environment | None = getattr(spec, "environment", None)
    if environment is not None:
        needs.append(f"an environment of its own, with {', '.join(environment.requirements)}")
    why = [f"no: {problem}" if spec.unavailable else problem for problem in _problems(spec)]
    rows = [
        ("kind", spec.kind), ("name", spec.name), ("what it is", spec.summary),
        ("aliases", ", ".join(spec.aliases) or "none"),
        ("from", f"{plugin.distribution} {plugin.version}".strip() + f" ({plugin.name})"),
        ("needs", ", ".join(needs) or "nothing"), ("available", "; ".join(why) if why else "yes"),
    ]  # fmt: skip
    if isinstance(spec, Backend):
        goes_on = "yes, from its last checkpoint" if spec.resumes else "no: it begins again from nothing"
        rows.append(("a stopped run goes on", goes_on))
    if isinstance(spec, Accelerator):
        rows.append(("claims", ", ".join(spec.claims)))
    click.echo(table(rows))
    if spec.options:
        options = [(f"--set {spec.kind}.{o.name}=", o.type, str(o.default), o.help) for o in spec.options]
        click.echo("\n" + table(options, ("option", "type", "default", "what it does")))


def named(known: Registry, name: str) -> tuple[str, str]:
    """Kind and name of ``[KIND/]NAME``; a ``PluginError`` where no kind has it, or several do."""
    from graftlm.contracts.errors import PluginError
    from graftlm_registry.suggestions import unknown

    kind, slash, bare = name.rpartition("/")
    if slash and kind not in known.kinds():
        raise PluginError(unknown("kind of plugin", kind, known.kinds()))
    if slash:
        return kind, bare
    kinds = [k for k in known.kinds() if any(bare in (s.name, *s.aliases) for _, s in known.contributions(k))]
    if not kinds:
        raise PluginError(unknown("plugin", bare, {s.name for _, s in known.contributions()}))
    if len(kinds) > 1:
        raise PluginError(f"'{bare}' is a name of several kinds: say {' or '.join(f'{k}/{bare}' for k in kinds)}")
    return kinds[0], bare


plugins.add_command(check)
plugins.add_command(new)
