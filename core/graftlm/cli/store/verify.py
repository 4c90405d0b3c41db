"""``graftlm store verify``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from graftlm_registry.adapters.verifying import Fault, Verifying


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the faults as JSON.")
def verify(as_json: bool) -> None:
    """Compare every byte with what was written, and name what is not as it was. Nothing is changed.

    Ends with 1 where an adapter is damaged, and with 0 where nothing is, or only what lies beside.
    """
    from graftlm.contracts.serial import to_builtins, to_json
    from graftlm_registry.adapters import open_store
    from graftlm_registry.adapters.index import index_faults
    from graftlm_registry.adapters.layout import explained
    from graftlm_registry.adapters.verifying import Fault, Verifying

    from ..tables import size
    from ..terminal import visible
    from .mending import advice, whose

    layout = open_store().layout
    look = Verifying(layout)
    found = []
    for fault in _explained(look):
        found.append(fault)
        if not as_json:
            click.echo(f"{'damaged' if fault.lost else 'odd'}: {visible(f'{fault.path} {fault.what}')}")
    with explained(layout.root):
        why = index_faults(layout)
    if why:
        found.append(Fault(layout.index, why, lost=False))
        if not as_json:
            click.echo(f"odd: {layout.index} {why}")
    lost = sum(fault.lost for fault in found)
    if as_json:
        users = whose(layout, found)
        faults = [to_builtins(fault) | {"of": users.get(fault, [])} for fault in found]
        click.echo(to_json({"faults": faults, "adapters": look.adapters, "files": look.files}))
    else:
        for said in advice(layout, found):
            click.echo(visible(said))
        looked = f"{look.adapters} adapters, {look.objects} folders, {look.files} files, {size(look.bytes)}"
        click.echo(f"{looked}: {'sound' if not found else f'{lost} damaged, {len(found) - lost} odd'}")
    if lost:
        sys.exit(1)


def _explained(look: Verifying) -> Iterator[Fault]:
    """The file system's errors as sentences; those of the terminal, on which faults are told, are no such errors."""
    from graftlm_registry.adapters.layout import explained

    with explained(look.layout.root):
        yield from look.faults()
