"""``graftlm adapters merge``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("name")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A new folder for the whole model.")
@click.option(
    "--dtype", type=click.Choice(("fp32", "bf16", "fp16")), help="Precision of the written weights.  [default: trained]"
)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON at the end, and nothing else.")
def merge(name: str, out: Path, dtype: str | None, as_json: bool) -> None:
    """Write NAME and its base as one model.

    Any tool can load it. The base is loaded in 16 or 32 bits, never quantized, and must be the one that the adapter
    was trained on. What is written is loaded again and compared with the adapter.
    """
    import json

    from graftlm.contracts.serial import to_builtins
    from graftlm.running.merge import merge as carry_out
    from graftlm_registry.plugins import registry

    from ..progress import Progress

    with Progress(quiet=as_json) as progress:
        merged = carry_out(name, out, registry(), progress.on_event, dtype=dtype or "")
    if as_json:
        click.echo(json.dumps(to_builtins(merged)))
        return
    what = "held-out test questions" if merged.held_out else "prompts (the run's test questions are gone)"
    click.echo(f"merged {merged.adapter} with its base in {merged.dtype}: {merged.out}")
    click.echo(
        f"on {merged.texts} {what} its logits differ by at most {merged.difference:.3g} from those of the adapter on "
        f"that base, which changes the base's by up to {merged.effect:.3g}"
    )
    if merged.trained_on != "none":
        click.echo(f"it was trained on {merged.trained_on} weights, and merged into those that they were made from")
