"""Backends that each compute something else than they were asked for, beside an honest one, for the parity gate."""

from __future__ import annotations

from collections.abc import Iterable

from graftlm.api import Backend, hookimpl

TRAINERS = {
    "honest": "Honest",
    "prompt": "Prompt",
    "bypass": "BypassedLayer",
    "frozen": "FrozenLayer",
    "attention": "OtherAttention",
    "late-attention": "LaterAttention",
    "precision": "OtherPrecision",
    "float": "FullPrecision",
    "prefix": "PrefixedIds",
    "shifted": "ShiftedIds",
    "order": "OtherOrder",
    "late-order": "LaterOrder",
    "rate": "OtherRate",
    "fewer": "FewerBatches",
    "padding": "CountedPadding",
}


@hookimpl
def graftlm_backends() -> Iterable[Backend]:
    for name, trainer in TRAINERS.items():
        yield Backend(
            name=f"bench-{name}",
            summary="a loop on torch, for a test",
            target=f"graftlm_bench_example.trainers:{trainer}",
        )
    yield Backend(
        name="bench-script",
        summary="somebody's script, for a test",
        target="graftlm_bench_example.trainers:Script",
        as_is=True,
    )
    yield Backend(
        name="bench-absent",
        summary="runs nowhere, for a test",
        target="graftlm_bench_example.trainers:Honest",
        supports=lambda situation: ("needs a device that nobody has",),
    )
