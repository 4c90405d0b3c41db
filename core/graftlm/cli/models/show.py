"""``graftlm models show``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from graftlm.contracts.model import ModelShape
    from graftlm_registry.plugins import Registry

    from .known import Known
    from .ways import Cost

SHARES = ("weights", "trained", "gradients", "optimizer", "activations", "logits")


@click.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON, sizes in bytes.")
def show(name: str, as_json: bool) -> None:
    """A known model, a folder or a hub id: its sizes, its licence, how to get it, and what training takes.

    Of a model that comes with graftlm also its card: what it can do, and how it was made.
    """
    from graftlm_registry.models import catalogue
    from graftlm_registry.plugins import registry

    from . import ways
    from .known import as_data, known

    plugins = registry()
    model = known(name, plugins)
    built_in = model.entry is not None and model.entry.folder is not None
    card = catalogue().card(model.entry.name) if model.entry and built_in else None
    costs = ways.costs(model, plugins)
    if as_json:
        found = as_data(model) | {
            "weights_by_precision": dict(ways.weights(model, plugins)),
            "training": [ways.as_data(cost) for cost in costs],
            "config": dict(model.description.config),
        }
        click.echo(json.dumps(found | ({"card": card} if card else {}), indent=2, ensure_ascii=False))
        return
    _print(model, plugins, costs)
    if card:
        from .card import print_card

        print_card(card)


def _print(model: Known, registry: Registry, costs: tuple[Cost, ...]) -> None:
    from graftlm.cli.tables import size, table

    from .ways import RECKONED, weights

    rows = list(_rows(model))
    by_precision = ", ".join(f"{label} {size(count)}" for label, count in weights(model, registry))
    if by_precision:
        rows.append(("weights", by_precision))
    click.echo(table(rows))
    told = [(cost.way.label, cost.memory) for cost in costs if cost.memory is not None]
    if told:
        click.echo(f"\nwhat training takes at its peak, with {RECKONED}")
        amounts = [(label, size(m.total), *(size(getattr(m, name)) for name in SHARES)) for label, m in told]
        click.echo(table(amounts, ("how", "in all", *SHARES)))
    for why in dict.fromkeys(cost.problems for cost in costs if cost.problems and model.shape is not None):
        labels = " and ".join(cost.way.label for cost in costs if cost.problems == why)
        click.echo("\n" + table([(f"not {labels}", "; ".join(why))]))


def _rows(model: Known) -> Iterator[tuple[str, str]]:
    entry = model.entry
    yield "model", f"{entry.name}: {entry.summary}" if entry else model.description.name
    yield "how to get it", _how(model)
    family = f"family {model.family.name}, template {model.template}" if model.family else f"no family: {model.problem}"
    yield "architecture", f"{model.description.model_type}, {family}"
    if model.shape is not None:
        yield from _sizes(model.shape, model.published)
    elif model.family is not None:
        yield "parameters", model.problem or "its family says nothing of its sizes"
    yield "licence", model.licence or "not known here: its card says"
    for note in model.facts.notes if model.facts else ():
        yield "note", note


def _how(model: Known) -> str:
    entry = model.entry
    if entry is None:
        return f"--model {model.reference}"
    if entry.folder is not None:
        return f"--model {entry.name} (comes with graftlm)"
    return f"--model {entry.hub} (the weights, from the hub), or --model shape:{entry.name} (random ones)"


def _sizes(shape: ModelShape, published: str) -> Iterator[tuple[str, str]]:
    active = f", {shape.active:,} of them active for a token" if shape.active != shape.parameters else ""
    as_published = f" ({published} billion, as published)" if published else ""
    yield "parameters", f"{shape.parameters:,}{as_published}{active}"
    inner = "" if shape.experts else f", intermediate {shape.intermediate:,}"
    yield "layers", f"{shape.layers}, hidden size {shape.hidden:,}{inner}"
    yield "attention", f"{shape.heads} heads of {shape.head_dim}, {shape.kv_heads} for keys and values"
    yield "vocabulary", f"{shape.vocabulary:,} tokens{', the embeddings are the head' if shape.tied else ''}"
    yield "context", f"{shape.context:,} tokens"
