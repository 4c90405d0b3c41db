"""Scripts as people write them: ``graftlm bench`` measures what they do, beside what they were asked for."""

from __future__ import annotations

from collections.abc import Iterable

from graftlm.api import Backend, Requirement, hookimpl


@hookimpl
def graftlm_backends() -> Iterable[Backend]:
    yield Backend(
        name="usual-4bit-script",
        summary="a QLoRA script as it stands in most tutorials, with what it really quantizes",
        target="graftlm_peers.usual_4bit_script:UsualScript",
        as_is=True,
        requires=(
            Requirement(distribution="torch", minimum="2.11", below="2.14", extra="peft"),
            Requirement(distribution="transformers", minimum="5.17", below="5.24", extra="peft"),
            Requirement(distribution="peft", minimum="0.21", below="0.22", extra="peft"),
            Requirement(distribution="bitsandbytes", minimum="0.50", below="0.51", extra="bitsandbytes"),
        ),
    )
