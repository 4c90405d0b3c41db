"""Tiny models with random weights, and what the suites look at in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from peft import PeftModel
    from transformers import PreTrainedModel

CONTEXT = 32
"""Positions of the tiny models whose RoPE is scaled, by a factor of 2."""


def tokenizer_of(name: str) -> Path:
    """The folder of a built-in model's tokenizer."""
    from graftlm_registry.models import catalogue

    return catalogue().entry(name).tokenizer


def build(
    config: Mapping[str, Any], attention: str = "", *, rope: str = "", context: int = 0, device: str = "cpu"
) -> PreTrainedModel:
    """Random weights in fp32, the same ones each time. ``device="meta"`` takes no memory, however large the model.

    ``attention`` is transformers' own choice where it is empty: sdpa, for architectures that have it. ``rope`` is a
    kind of scaling, from ``CONTEXT`` positions.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    known = {k: v for k, v in config.items() if k != "model_type"}
    built = AutoConfig.for_model(config["model_type"], **known)
    if context:
        built.max_position_embeddings = context
    if rope:
        scaled = {**built.rope_parameters, "rope_type": rope, "factor": 2.0}
        if rope == "yarn":
            scaled["original_max_position_embeddings"] = CONTEXT
        built.rope_parameters = scaled
        # dynamic scaling begins where the positions that the configuration states end
        built.max_position_embeddings = CONTEXT if rope == "dynamic" else 2 * CONTEXT
    torch.manual_seed(0)
    with torch.device(device):
        return AutoModelForCausalLM.from_config(built, attn_implementation=attention or None).eval()


def linear_layers(model: PreTrainedModel) -> dict[str, torch.nn.Linear]:
    """By path, without the head."""
    import torch

    head = model.get_output_embeddings()
    found = model.named_modules()
    return {name: m for name, m in found if isinstance(m, torch.nn.Linear) and m is not head}


def lora(model: PreTrainedModel, targets: Sequence[str], *, random: bool = False) -> PeftModel:
    """LoRA of rank 2. ``random``: its second matrices are drawn, so that it changes something and has gradients."""
    import torch
    from peft import LoraConfig, get_peft_model

    settings = LoraConfig(task_type="CAUSAL_LM", r=2, lora_alpha=4, target_modules=list(targets))
    adapted = get_peft_model(model, settings)
    if random:
        torch.manual_seed(2)
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.1)
    return adapted


def inverse_frequencies(model: PreTrainedModel) -> torch.Tensor:
    """Of the rotary embeddings that all layers share, in fp32."""
    found: torch.Tensor = next(m.inv_freq for m in model.modules() if hasattr(m, "inv_freq"))
    return found.clone()


def logits(model: PreTrainedModel, ids: torch.Tensor, **positions: Any) -> torch.Tensor:
    """``float32[rows, tokens, vocabulary]``, nothing cached."""
    found: torch.Tensor = model(input_ids=ids, use_cache=False, **positions).logits
    return found
