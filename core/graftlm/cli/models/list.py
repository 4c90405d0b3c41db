"""``graftlm models list``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from graftlm_registry.plugins import Registry

    from .known import Known


@click.command("list")
@click.option("--fits", metavar="MEMORY", help="Which can be tuned how on a GPU of this memory, as 16GB or 24GiB.")
@click.option("--json", "as_json", is_flag=True, help="Print a list of JSON objects, sizes in bytes.")
def list_(fits: str | None, as_json: bool) -> None:
    """Models that come with graftlm, and well-known ones: --model takes what the first column says.

    shape:NAME is the architecture with random weights, for measuring; 'models show NAME' says where the weights are.
    """
    from graftlm_registry.models import catalogue
    from graftlm_registry.plugins import registry

    from . import amounts
    from .known import as_data, of_entry
    from .ways import weights

    available = None if fits is None else amounts.memory("--fits", fits)
    plugins = registry()
    found = [of_entry(name, plugins) for name in catalogue().names()]
    if available is not None:
        _print_fitting(found, plugins, fits or "", available, as_json)
    elif as_json:
        described = [as_data(model) | {"weights_by_precision": dict(weights(model, plugins))} for model in found]
        click.echo(json.dumps(described, indent=2, ensure_ascii=False))
    else:
        _print_all(found, plugins)


def _print_all(models: list[Known], registry: Registry) -> None:
    from graftlm.cli.tables import size, table

    from .amounts import parameters, tokens
    from .ways import weights

    rows = []
    for model in models:
        shape = model.shape
        stored = dict(weights(model, registry)).get("bf16")
        sizes = (parameters(shape.parameters), str(shape.layers), tokens(shape.context)) if shape else ("-",) * 3
        family = model.family.name if model.family else "-"
        rows.append(
            (
                model.reference,
                *sizes,
                size(stored) if stored else "-",
                family,
                model.template or "-",
                model.licence or "-",
            )
        )
    header = ("--model", "parameters", "layers", "context", "in bf16", "family", "template", "licence")
    click.echo(table(rows, header))


def _print_fitting(models: list[Known], registry: Registry, written: str, available: int, as_json: bool) -> None:
    from graftlm.cli.tables import size, table

    from .amounts import parameters
    from .known import as_data
    from .ways import RECKONED, WAYS, costs
    from .ways import as_data as cost_as_data

    reckoned = [(model, costs(model, registry, available)) for model in models]
    fitting = [(model, found) for model, found in reckoned if any(cost.fits for cost in found)]
    if as_json:
        described = [
            as_data(model) | {"training": [cost_as_data(cost) | {"fits": cost.fits} for cost in found]}
            for model, found in reckoned
        ]
        click.echo(json.dumps(described, indent=2, ensure_ascii=False))
        return
    if not fitting:
        click.echo(f"none of {len(models)} models can be tuned in {written}")
        return
    rows = []
    for model, found in fitting:
        cells = {cost.way: size(cost.memory.total) for cost in found if cost.memory and cost.fits}
        count = parameters(model.shape.parameters) if model.shape else "-"
        rows.append((model.reference, count, *(cells.get(way, "-") for way in WAYS)))
    click.echo(table(rows, ("--model", "parameters", *(way.label for way in WAYS))))
    click.echo(
        f"\n{len(fitting)} of {len(models)} models can be tuned in {written}: what each way takes at its peak, with\n"
        f"{RECKONED}.\n"
        "- is a way that does not fit, or cannot be: 'graftlm models show NAME' says which"
    )
