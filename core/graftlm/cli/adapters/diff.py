"""``graftlm adapters diff``."""

from __future__ import annotations

import click


@click.command()
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option("--modules", is_flag=True, help="The weights module by module, not layer by layer.")
@click.option("--json", "as_json", is_flag=True, help="Print the differences as JSON.")
def diff(first: str, second: str, modules: bool, as_json: bool) -> None:
    """What is different between A and B: how they were made, how well they do, and their weights.

    Of what each adds to the base's weights by LoRA: its norm, and the cosine between both (1: the same direction, 0:
    nothing in common, -1: the opposite). Of tensors that stand for themselves, such as DoRA's magnitudes and modules
    that were trained whole, how far the two are apart.
    """
    from graftlm.contracts.serial import to_builtins, to_json
    from graftlm.judging.weight_changes import Compared, by_layer, compare_weights
    from graftlm_registry.adapters import open_store
    from graftlm_registry.adapters.layout import explained

    from .difference import differences, said_value, score_rows, weight_tables

    store = open_store()
    one, two = store.get(first), store.get(second)
    said, scores = differences(one, two), score_rows(one, two)
    same_base = one.base.files_digest == two.base.files_digest
    weights = Compared([], [], direction_only=False)
    if same_base:
        with explained(store.root):
            weights = compare_weights(store.path(one.reference), store.path(two.reference))
    shown = weights.moved if modules else by_layer(weights.moved)
    if as_json:
        rows = [{"where": m.where, "norm": [m.first, m.second], "cosine": m.cosine, "apart": m.apart} for m in shown]
        metrics = [{"evaluation": row[0], "metric": row[1], "values": row[2:]} for row in scores]
        click.echo(to_json({"adapters": [one.reference, two.reference], "differences": said, "scores": metrics,
                            "weights": rows, "direction_only": weights.direction_only,
                            "apart": to_builtins(weights.apart)}))  # fmt: skip
        return
    from ..tables import table
    from ..terminal import visible

    rows_ = [(what, visible(said_value(pair[0])), visible(said_value(pair[1]))) for what, pair in said.items()]
    click.echo(table(rows_, ("", one.reference, two.reference)) if rows_ else "they were made alike")
    if scores:
        click.echo("\n" + table(scores, ("skill", "metric", one.reference, two.reference)))
    if not same_base:
        click.echo("\ntheir weights cannot be compared: they are for different bases")
        return
    click.echo(weight_tables(weights, shown, one.reference, two.reference))
