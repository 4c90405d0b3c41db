"""``graftlm envs create``."""

from __future__ import annotations

import re
import sys
from typing import Literal

import click


@click.command()
@click.argument("name")
@click.option("--installer", type=click.Choice(("pip", "uv")), default="pip", show_default=True, help="What resolves.")
@click.option("--python", default="", metavar="PATH", help="The interpreter to make it with (default: this one).")
@click.option(
    "--share-torch/--no-share-torch",
    default=True,
    show_default=True,
    help="Link this environment's torch instead of downloading one.",
)
@click.option("--with", "asked", multiple=True, metavar="REQUIREMENT", help="Install this too. Can be repeated.")
@click.option("--again", is_flag=True, help="Make it anew even where it can be used.")
def create(
    name: str, installer: Literal["pip", "uv"], python: str, share_torch: bool, asked: tuple[str, ...], again: bool
) -> None:
    """Make the environment of a backend or an evaluator, with graftlm and the plugins in it."""
    from graftlm.cli.tables import size
    from graftlm.environments.creation import Choices, create
    from graftlm.environments.declared import find
    from graftlm.environments.places import folder_of
    from graftlm.environments.state import state_of
    from graftlm_registry.plugins import registry

    found = find(name, registry())
    state = state_of(found, registry())
    if state.kind == "ready" and state.manifest and not again and set(asked) <= set(state.manifest.asked):
        click.echo(f"{name} is ready ({size(state.manifest.bytes)} in {folder_of(name)}); --again makes it anew")
        return
    mb = found.environment.download_mb
    torch = "torch is linked from this environment where it fits" if share_torch else "and torch"
    click.echo(f"{name}, for {found.users}: about {mb} MB to download, {torch}")
    choices = Choices(installer=installer, python=python, share_torch=share_torch, asked=asked)
    say = Narrator(mb)
    try:
        made = create(found, registry(), choices, say.line)
    finally:
        say.end()
    shared = ", torch shared" if made.torch == "shared" else ""
    click.echo(f"{name} is ready: {len(made.packages)} packages, {size(made.bytes)}{shared}, {made.seconds:.0f} s")


class Narrator:
    """Tells an installer's lines: one that changes on a terminal, the telling ones elsewhere."""

    def __init__(self, expected_mb: int) -> None:
        self._expected, self._loaded, self._live = expected_mb, 0.0, sys.stderr.isatty()

    def line(self, line: str) -> None:
        found = re.match(r"Downloading (\S+) \(([\d.]+) (kB|MB|GB)\)", line)
        if found:
            self._loaded += float(found[2]) * {"kB": 0.001, "MB": 1, "GB": 1000}[found[3]]
            line = f"downloading {found[1].rpartition('/')[2]}, {self._loaded:.0f} MB so far"
        elif line.startswith(("Resolved", "Prepared", "Installed")):  # uv's
            line = line[0].lower() + line[1:]
        elif line.startswith("Installing collected"):
            line = "installing"
        elif line.startswith("Collecting") or line.startswith("Using cached"):
            line = f"resolving {line.split()[-1].rpartition('/')[2]}" if self._live else ""
        elif not line or not line[0].islower():
            return
        if self._live:
            click.echo(f"\r\x1b[K{line[:100]}", nl=False, err=True)
        elif line and not found:
            click.echo(line, err=True)

    def end(self) -> None:
        if self._live:
            click.echo("\r\x1b[K", nl=False, err=True)
