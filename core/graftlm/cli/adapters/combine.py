"""``graftlm adapters combine``."""

from __future__ import annotations

import click


@click.command()
@click.argument("given", metavar="NAME[=WEIGHT]...", nargs=-1, required=True)
@click.option(
    "--combination",
    "combinations",
    multiple=True,
    metavar="NAME",
    help="linear, cat, svd, ties, dare_ties, dare_linear or magnitude_prune.  [default: cat; with --try: several]",
)
@click.option("--rank", type=int, metavar="N", help="Rank of the result, for svd.  [default: the largest of theirs]")
@click.option(
    "--density", type=float, metavar="SHARE", help="Share of the numbers to keep, for ties, dare_… and magnitude_prune."
)
@click.option("--seed", type=int, metavar="N", help="Which numbers dare_… drops.  [default: 0]")
@click.option("--name", default="", metavar="NAME", help="Name of the result.  [default: the parents' names, joined]")
@click.option(
    "--try", "trying", is_flag=True, help="Score several ways on the adapters' own evaluation rows, and publish none."
)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON at the end, and nothing else.")
def combine(
    given: tuple[str, ...],
    combinations: tuple[str, ...],
    rank: int | None,
    density: float | None,
    seed: int | None,
    name: str,
    trying: bool,
    as_json: bool,
) -> None:
    """Make one new adapter of several, as in a=0.7 b=0.3.

    They must be of one base and one template. cat is the exact weighted sum, its rank that of all together; svd is the
    same, cut to a smaller rank. linear, ties, dare_… and magnitude_prune add the factors one by one, which is another
    thing than the sum; they need equal ranks. The result is loaded again and proved before it is kept.

    With --try, several combinations and weights are scored on what each adapter was evaluated on, and the best is
    named; with --name too, it is kept under that name. A NAME without a weight then gets several.
    """
    import json

    from graftlm.contracts.errors import UsageError
    from graftlm.running.combine import combine as carry_out
    from graftlm.running.combine import plan_of, read_weights
    from graftlm.running.parents import parents_of
    from graftlm_registry.plugins import registry

    from ..progress import Progress
    from .combine_table import as_builtins, told

    if trying:
        from .combine_try import carry_out_try

        carry_out_try(given, combinations, rank, density, seed, name, as_json)
        return
    if len(combinations) > 1:
        raise UsageError("several --combination: name one, or give --try to compare them")
    weights = read_weights(given)
    parents = parents_of([reference for reference, _ in weights], registry())
    plan = plan_of(
        parents.combining,
        combinations[0] if combinations else "cat",
        [weight for _, weight in weights],
        rank=rank,
        density=density,
        seed=seed,
    )
    with Progress(quiet=as_json) as progress:
        made = carry_out(parents, plan, progress.on_event, registry(), name=name)
    if as_json:
        click.echo(json.dumps(as_builtins(made)))
        return
    for line in told(made):
        click.echo(line)
