"""LLaMA-Factory for graftlm: a backend that drives its training, and a command that reads its run files."""

from __future__ import annotations

from collections.abc import Iterable

from graftlm.api import Backend, Command, Option, hookimpl

from .environment import ENVIRONMENT
from .situations import check, notes, supports


@hookimpl
def graftlm_backends() -> Iterable[Backend]:
    yield Backend(
        name="llamafactory",
        summary="LLaMA-Factory's own training, with LoRA, in its own environment",
        target="graftlm_llamafactory.backend:LlamaFactoryTrainer",
        environment=ENVIRONMENT,
        supports=supports,
        notes=notes,
        check=check,
        options=(
            Option(
                name="neat_packing",
                type="bool",
                default=False,
                help="Pack samples into rows of --max-length tokens, as LLaMA-Factory does. Order and batches are its.",
            ),
        ),
    )


@hookimpl
def graftlm_commands() -> Iterable[Command]:
    yield Command(
        name="import-llamafactory",
        group="config",
        summary="Turn a LLaMA-Factory run file into one of graftlm's",
        target="graftlm_llamafactory.importing.command:import_llamafactory",
        suite="graftlm_llamafactory.conformance:ImportSuite",
    )
