"""Liger's Triton kernels for norms, gated products and rotary positions.

They are those of Liger's own patch for an architecture, applied to the loaded model and taken back afterwards; experts
stay transformers' own. Its fused linear cross-entropy is not taken: it computes logits that nothing is learned from,
which ``supervised-logits`` leaves out. ``fused-lora`` goes with it, as Liger's products call the linear layers as they
find them; ``compile`` does not, as it writes these kernels itself.

``--accelerator auto`` does not choose it: its gradients are to be proved on a GPU first (``make test-gpu``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from graftlm.api import Accelerator, Requirement, hookimpl

if TYPE_CHECKING:
    from graftlm.api import Situation

KNOWN = ("falcon_h1", "glm4", "llama", "ministral", "mistral", "mixtral", "qwen2", "qwen3", "qwen3_moe")
"""Architectures that Liger 0.8 has a patch for whose norms, products and rotations are those of transformers."""
SILU = ("silu", "swish")


def supports(situation: Situation) -> Sequence[str]:
    config, found = situation.config, []
    kind = config.get("model_type", "")
    if situation.facts.remote_code or kind not in KNOWN:
        found.append(f"has no kernels for {kind or 'this architecture'} (it has for {', '.join(KNOWN)}): leave it out")
    if situation.device != "cuda":
        found.append(f"computes on a GPU, and the run is on {situation.device}: say --device cuda, or leave it out")
    activation = config.get("hidden_act", SILU[0])
    if activation not in SILU:
        found.append(f"knows the activation silu, and config.json says hidden_act {activation}: leave it out")
    if kind == "falcon_h1" and config.get("mlp_bias"):
        found.append("multiplies before a layer whose bias is to be multiplied too (mlp_bias): leave it out")
    return found


@hookimpl
def graftlm_accelerators() -> Iterable[Accelerator]:
    yield Accelerator(
        name="liger",
        summary="Liger's kernels for norms, gated products and rotary positions",
        claims=("norm", "mlp", "rotary"),
        patches={"adapter": "graftlm_plugins.accelerators.worker.liger_kernels:LigerKernels"},
        supports=supports,
        requires=(
            Requirement(distribution="liger-kernel", minimum="0.8"),
            Requirement(device="cuda", compute_capability=(8, 0)),
        ),
        gain="fewer kernels",
    )
