"""The ``unsloth`` backend: Unsloth's patched models under our own loop, in an environment of its own."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from graftlm.api import Backend, Environment, RunError, hookimpl, read_config

from .unsloth_limits import TAKEN, check, notes, supports

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from graftlm.api import Batch, Plan, TrainingContext

UNNEEDED = ("torchvision", "xformers", "diffusers", "cut_cross_entropy", "triton")
CHUNKED = "_unsloth_cpu_chunked_ce"
"""The mark of a model whose CPU loss never holds all logits; with ``_active`` it is switched on."""


class UnslothTrainer:
    """Unsloth's speed-ups lie in the model (forwards, LoRA kernels, loss, checkpointing): our loop has all of them.
    Its SFTTrainer adds packing and an 8-bit optimizer, which would be other data and another optimizer than the plan's.
    """

    loss = "Unsloth's cross-entropy in the model's forward, by the step's trained tokens"

    def prepare(self, plan: Plan, scratch: Path) -> None:
        """Unsloth reads its settings when it is imported, and wants to be imported before what it patches."""
        os.environ["UNSLOTH_DISABLE_STATISTICS"] = "1"  # it tells a hub that it runs otherwise
        os.environ["HF_HUB_OFFLINE"] = "1"  # the base is a folder
        os.environ["UNSLOTH_COMPILE_LOCATION"] = str(scratch / "unsloth-compiled")  # the working directory otherwise
        if plan.device == "cpu":
            os.environ["UNSLOTH_FORCE_CPU"] = "1"
        else:
            os.environ["UNSLOTH_DISABLE_CPU_FALLBACK"] = "1"
        import unsloth  # noqa: F401

    def train(self, context: TrainingContext) -> None:
        from .loop import gradient_scaler, optimize

        with _said():
            model = _loaded(context)
        chunked = [module for module in model.modules() if vars(module).get(CHUNKED)]
        self.loss = _loss_path(model, context.device, bool(chunked))
        context.loaded(model)
        scaler = gradient_scaler(context)
        if scaler.is_enabled():
            _announce(scaler, model)

        def loss(model: Any, batch: Batch, trained: int) -> torch.Tensor:
            with _in_chunks(chunked):
                return _loss(model, batch, trained)

        optimize(context, model, loss, scaler)


def _loaded(context: TrainingContext) -> Any:
    """Unsloth's model with a LoRA on the plan's targets, ready to train."""
    import torch
    from unsloth import FastLanguageModel

    plan, method = context.plan, context.plan.method
    quantized = plan.load.quantization != "none"
    cuda = plan.device == "cuda"
    checkpointing: Any = plan.training.gradient_checkpointing and ("unsloth" if cuda else True)
    model, _ = FastLanguageModel.from_pretrained(
        str(context.folder),
        tokenizer_name=str(_tokenizer(context)),
        max_seq_length=plan.encoding.max_length,  # it cuts longer rows, and there are none
        dtype={"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[plan.dtype],
        load_in_4bit=quantized,
        load_in_16bit=not quantized,
        device_map={"": 0} if cuda else None,  # whole, or not at all: it would leave on the CPU what does not fit
        attn_implementation=plan.attention,
        use_gradient_checkpointing=checkpointing,
        use_exact_model_name=True,  # it would look for another model of that name
        fix_tokenizer=False,
        offload_embedding=False,
        random_state=plan.training.seed,
        local_files_only=True,
        trust_remote_code=False,
    )
    _check(model, context)
    options = {name: _given(value) for name, value in method.options.items() if name in TAKEN}
    start = options.pop("init_lora_weights")
    targets = sorted(method.target_modules)
    model = FastLanguageModel.get_peft_model(
        model,
        r=method.rank,
        lora_alpha=_whole(method.alpha),
        lora_dropout=method.dropout or 0.0,
        target_modules=targets,
        bias="none",
        init_lora_weights={"true": True, "false": False}.get(start, start),
        use_gradient_checkpointing=checkpointing,
        random_state=plan.training.seed,
        **options,
    )
    # It writes paths or a pattern of its own there; whether it adapted what the plan's names mean, the core compares.
    kept = model.peft_config["default"]
    kept.target_modules = set(targets)
    kept.layers_to_transform, kept.layers_pattern = options["layers_to_transform"], options["layers_pattern"]
    return model.for_training(use_gradient_checkpointing=checkpointing)


def _tokenizer(context: TrainingContext) -> Path:
    """The folder of a tokenizer that encodes nothing: the rows are ids. Where the model's own had no padding token,
    Unsloth would add one and grow the base's embeddings; and it zeroes the row of the padding token that it knows.
    """
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast

    names = ["<pad>", "</s>"]
    if read_config(context.folder).get("pad_token_id") == 0:
        names.reverse()
    only = Tokenizer(WordLevel({name: i for i, name in enumerate(names)}, unk_token="</s>"))
    folder = context.scratch / "tokenizer"
    PreTrainedTokenizerFast(
        tokenizer_object=only, pad_token="<pad>", eos_token="</s>", unk_token="</s>"
    ).save_pretrained(folder)
    return folder


def _check(model: Any, context: TrainingContext) -> None:
    """What Unsloth changes in silence, and what no configuration tells."""
    rows, vocabulary = model.get_input_embeddings().weight.shape[0], read_config(context.folder).get("vocab_size")
    if vocabulary is not None and rows != vocabulary:
        raise RunError(f"Unsloth made {rows:,} embeddings of the base's {vocabulary:,}: use --backend peft")
    _check_rotary(model)
    if context.device != "cuda":
        return
    from unsloth.utils.attention_dispatch import SDPA, select_attention_backend

    if (found := select_attention_backend()) != SDPA:
        raise RunError(
            f"Unsloth would compute attention with {found}, which is installed in its environment, and the plan says "
            f"{context.plan.attention}: make the environment anew (graftlm envs create unsloth)"
        )


def _check_rotary(model: Any) -> None:
    """Frequencies are in no file: a loader that forgets to compute them leaves what was in memory."""
    import torch

    rope = getattr(model.config, "rope_parameters", None) or {}
    if rope.get("rope_type") != "default" or "rope_theta" not in rope:
        return
    for path, found in model.named_buffers():
        if path.rpartition(".")[2] != "inv_freq":
            continue
        places = torch.arange(found.numel(), dtype=torch.float32) / found.numel()
        if not torch.allclose(found.float().cpu(), float(rope["rope_theta"]) ** -places, rtol=1e-2, atol=0):
            raise RunError(f"Unsloth left the rotary frequencies of {path} unset: use --backend peft")


def _loss_path(model: Any, device: str, chunked: bool) -> str:
    if device == "cpu":
        return "Unsloth's cross-entropy in chunks" if chunked else "transformers' causal language model loss"
    if type(model.get_base_model()).forward.__module__.startswith("transformers."):
        return "Unsloth's cross-entropy kernel on all logits"
    return "Unsloth's cross-entropy fused with the head"


def _loss(model: Any, batch: Batch, trained: int) -> torch.Tensor:
    """Computed where the model does it."""
    import torch

    inputs, labels = batch.inputs(str(model.device)), batch.labels.to(model.device)
    loss: torch.Tensor = model(
        **inputs, labels=labels, num_items_in_batch=torch.tensor(trained, device=model.device)
    ).loss
    return loss


@contextmanager
def _said() -> Iterator[None]:
    """Unsloth's own errors as one of ours, in their first line; want of memory is told by the core."""
    import torch

    try:
        yield
    except (RunError, torch.OutOfMemoryError):
        raise
    except (OSError, ValueError, TypeError, ImportError, RuntimeError, AssertionError) as error:
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise RunError(f"Unsloth cannot load this base with its adapter: {first}") from error


@contextmanager
def _in_chunks(models: list[Any]) -> Iterator[None]:
    """Unsloth's SFTTrainer switches its CPU loss on for as long as a forward pass takes; so do we."""
    for model in models:
        setattr(model, f"{CHUNKED}_active", True)
    try:
        yield
    finally:
        for model in models:
            setattr(model, f"{CHUNKED}_active", False)


def _announce(scaler: Any, model: Any) -> None:
    """The fused loss computes its gradient in the forward pass, and underflows where it does not know the scale."""
    for module in model.modules():
        if hasattr(module, "get_output_embeddings") or hasattr(module, "peft_config"):
            module.accelerator_scaler = scaler


def _whole(alpha: float | None) -> float | None:
    return int(alpha) if alpha is not None and float(alpha).is_integer() else alpha


def _given(value: Any) -> Any:
    """An option as PEFT takes it: None where a list says nothing."""
    return list(value) or None if isinstance(value, tuple | list) else value


@hookimpl
def graftlm_backends() -> Iterable[Backend]:
    yield Backend(
        name="unsloth",
        summary="Unsloth's patched models and kernels, made for GPUs",
        target="graftlm_plugins.backends.unsloth:UnslothTrainer",
        follows=("optimizer", "loraplus_ratio", "early_stopping", "keep"),
        supports=supports,
        notes=notes,
        check=check,
        environment=Environment(
            name="unsloth",
            requirements=(
                "unsloth==2026.10.9",
                "unsloth_zoo==2026.10.9",
                "torch>=2.11,<2.14",
                "transformers==5.17.0",
                "trl==1.15.0",
                "peft>=0.21,<0.22",
                "bitsandbytes>=0.50,<0.51",  # on CUDA Unsloth loads nothing without it
            ),
            # The first cannot be had yet; the others have no build beside every torch, and text needs none of them.
            overrides=(
                "certifi>=2024",
                *(f'{name}; python_version < "0"' for name in UNNEEDED),
            ),
            python=">=3.11,<3.15",
            variables={"UNSLOTH_DISABLE_STATISTICS": "1"},
            download_mb=225,
            imports=("unsloth", "trl"),
        ),
    )
