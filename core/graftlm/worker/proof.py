"""Proof that an adapter is what it is said to be: the base loaded once more, and the staged files put onto it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import signature
from pathlib import Path
from typing import Any

import torch

from graftlm.contracts.errors import RunError, UsageError
from graftlm.contracts.outcome import Proof
from graftlm.contracts.services import Tuner
from graftlm.encoding.rows import EncodedRows
from graftlm.encoding.tokenizing import SpanTokenizer

from .digest import base_digest
from .generation import inference

SAMPLES = 4
POSITIONS = 128
"""Tokens of each, at most."""
RELOADED = 0.01
"""Largest share of the adapter's own effect that a reload may differ by."""
ROUNDING = 16 * torch.finfo(torch.float32).eps
"""Share of the largest logit that rounding may come to, where the same is computed in another order."""


def proof_logits(model: Any, rows: EncodedRows, device: str) -> torch.Tensor:
    """Logits at some tokens of some samples, ``float32[tokens, vocabulary]``."""
    texts = [rows.row(i)[0].tolist() for i in range(min(SAMPLES, len(rows)))]
    return text_logits(model, texts, device)


def texts_as_ids(folder: Path, texts: Sequence[str]) -> list[list[int]]:
    """Rendered prompts by the tokenizer in a model's folder; ``UsageError`` where there is none to compare on."""
    tokenizer = SpanTokenizer.from_folder(folder)
    found = [list(ids) for text in texts if (ids := tokenizer.one_piece(text))]
    if not found:
        raise UsageError("there is no text to compare logits on")
    return found


def text_logits(model: Any, texts: Sequence[Sequence[int]], device: str) -> torch.Tensor:
    """Logits at the last tokens of each text, ``float32[tokens, vocabulary]``. One text at a time: with a large
    vocabulary, the logits of all tokens would take gigabytes.
    """
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    fewer = "logits_to_keep" in signature(inner.forward).parameters  # code of a checkpoint may lack it
    found = []
    with inference(model):
        for ids in texts:
            only = {"logits_to_keep": min(POSITIONS, len(ids))} if fewer else {}
            logits = model(input_ids=torch.tensor([ids], device=device), use_cache=False, **only).logits
            found.append(logits[0, -POSITIONS:].float().cpu())
    return torch.cat(found)


def prove(
    trained: torch.Tensor,
    base: Any,
    base_before: str,
    tuner: Tuner,
    staged: Path,
    rows: EncodedRows,
    device: str,
    between: Callable[[Any], None],
) -> tuple[Any, Proof]:
    """The freshly loaded ``base`` with the staged files, and the proof; ``trained`` are the logits of what was trained
    in memory. ``between`` is called with the bare base.

    Raises ``RunError`` where the adapter has no effect, the staged files are another one, or the base changed.
    """
    base_after = base_digest(base)
    if base_before and base_after != base_before:
        raise RunError("the base's weights are others than when training began")
    untuned = proof_logits(base, rows, device)
    between(base)
    tuned = tuner.apply(base, staged)
    again = proof_logits(tuned, rows, device)
    effect, reload = compared(
        untuned, ("trained model", trained), again, "train longer, or with a higher --learning-rate"
    )
    return tuned, Proof(effect=effect, reload=reload, base_before=base_before or base_after, base_after=base_after)


def compared(
    untuned: torch.Tensor, first: tuple[str, torch.Tensor], again: torch.Tensor, advice: str
) -> tuple[float, float]:
    """Effect and reload difference, of logits of the bare base, of what was ``first`` in memory (with its name), and of
    the staged files on a fresh base. ``RunError`` where any are no numbers, nothing changed, or the files are another
    adapter.
    """
    name, made = first
    for what, found in (("base", untuned), (name, made), ("staged adapter", again)):
        if not bool(torch.isfinite(found).all()):
            raise RunError(f"the logits of the {what} are infinite or no numbers: try --dtype bf16 or fp32")
    effect = float((made - untuned).abs().max())
    reload = float((made - again).abs().max())
    noise = ROUNDING * float(untuned.abs().max())
    if not effect > 2 * noise:
        raise RunError(f"the adapter changes nothing: its logits are the base's, up to {effect:.2g} ({advice})")
    if not reload <= max(noise, RELOADED * effect):
        raise RunError(
            f"the staged adapter gives other logits than the {name} (by {reload:.3g}, and its whole effect is "
            f"{effect:.3g})"
        )
    return effect, reload
