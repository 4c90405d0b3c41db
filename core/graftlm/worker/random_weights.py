"""Random weights of a known shape, drawn module by module into safetensors files."""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel
from transformers.core_model_loading import revert_weight_conversion

from graftlm.contracts.errors import ModelError, RunError

SHARD = 10**9
"""Bytes of a file at most, where one module is not more than that."""
MARKER = "weights.complete"
BIG = 10**9
"""Parameters from which on a configuration that names no dtype is written in bf16."""

Tensors = dict[str, torch.Tensor]


def random_weights(folder: Path) -> None:
    """Draw the weights of the ``config.json`` in a folder into it, once; they are the same for every run.

    Memory holds one file's tensors (1 GB), one module, and a copy of one of its tensors where files have experts apart.
    ``ModelError`` where they cannot be written: then nothing is left behind.
    """
    if (folder / MARKER).exists():
        return
    try:
        with folder.with_name(f"{folder.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # a second run waits, and finds them; a killed one lets go
            if not (folder / MARKER).exists():
                _draw(folder, folder.with_name(f"{folder.name}.weights"))
    except (OSError, SafetensorError) as error:
        raise ModelError(f"the random weights of {folder.name} cannot be written to {folder}: {error}") from error


def _draw(folder: Path, beside: Path) -> None:
    model = skeleton(folder)
    _check_room(folder, sum(parameter.nbytes for parameter in model.parameters()))
    shutil.rmtree(beside, ignore_errors=True)  # of a run that was killed
    try:
        beside.mkdir()
        write_shards(drawn(model), beside)
        for stale in folder.glob("model*.safetensors*"):
            stale.unlink()
        for path in sorted(beside.iterdir()):
            path.replace(folder / path.name)
        (folder / MARKER).touch()
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def skeleton(folder: Path) -> PreTrainedModel:
    """The architecture on the meta device: shapes without memory, in the configuration's dtype."""
    config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    said = config.dtype  # from_config writes one into it
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=said or torch.float32)
    return model.to(torch.bfloat16) if said is None and model.num_parameters() > BIG else model


@torch.no_grad()
def drawn(model: PreTrainedModel) -> Iterator[Tensors]:
    """The tensors of one module after the other, by the names that published files have, drawn as the model draws them.

    Tied weights come once. Each module is back on the meta device before the next one is drawn.
    """
    random = torch.Generator().manual_seed(0).get_state()
    seen: set[int] = set()
    for path, module in model.named_modules():
        own = {
            name: tensor
            for name, tensor in (*module._parameters.items(), *module._buffers.items())
            if tensor is not None and name not in module._non_persistent_buffers_set and id(tensor) not in seen
        }
        if own:
            seen.update(map(id, own.values()))
            with torch.random.fork_rng(devices=[]):
                torch.set_rng_state(random)
                tensors = _materialised(model, path, module, own)
                random = torch.get_rng_state()
            for name in own:  # one by one: where experts are split again, that makes a copy
                key = f"{path}.{name}" if path else name
                yield revert_weight_conversion(model, {key: tensors.pop(name)})


def _materialised(model: PreTrainedModel, path: str, module: nn.Module, own: Tensors) -> Tensors:
    """Real tensors in place of ``own``, initialised as by ``init_weights``: by the module, then by each that holds it
    (some draw for their children). What those draw on the meta device costs nothing and takes no random numbers.
    """
    real = {
        name: torch.full_like(tensor, torch.nan if tensor.is_floating_point() else 0, device="cpu")
        for name, tensor in own.items()
    }
    _put(module, real)
    parts = path.split(".") if path else []
    for depth in range(len(parts), -1, -1):
        model._init_weights(model.get_submodule(".".join(parts[:depth])))
    blank = [name for name, tensor in real.items() if tensor.sum().isnan()]
    if blank:
        raise RunError(f"transformers gives {path}.{blank[0]} of {type(model).__name__} no initial values")
    _put(module, own)
    return real


def _put(module: nn.Module, tensors: Tensors) -> None:
    for name, tensor in tensors.items():
        if name in module._buffers:
            module._buffers[name] = tensor
        else:
            module._parameters[name] = (
                tensor if isinstance(tensor, nn.Parameter) else nn.Parameter(tensor, requires_grad=False)
            )


def write_shards(groups: Iterator[Tensors], folder: Path, limit: int = SHARD) -> None:
    """safetensors files of at most ``limit`` bytes (or of one group), with an index where there are several."""
    names: list[tuple[Path, tuple[str, ...]]] = []
    shard: Tensors = {}
    total = size = 0

    def flush() -> None:
        nonlocal size
        path = folder / f"part-{len(names)}.safetensors"
        save_file({name: tensor.contiguous() for name, tensor in shard.items()}, path, metadata={"format": "pt"})
        names.append((path, tuple(shard)))
        shard.clear()
        size = 0

    for group in groups:
        added = sum(tensor.nbytes for tensor in group.values())
        if shard and size + added > limit:
            flush()
        shard.update(group)
        size += added
        total += added
    flush()
    if len(names) == 1:
        names[0][0].rename(folder / "model.safetensors")
        return
    index: dict[str, Any] = {"metadata": {"total_size": total}, "weight_map": {}}
    for number, (path, held) in enumerate(names, 1):
        final = f"model-{number:05}-of-{len(names):05}.safetensors"
        path.rename(folder / final)
        index["weight_map"] |= dict.fromkeys(held, final)
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ModelError(
            f"the random weights of {folder.name} take {needed / 1e9:.1f} GB, and there are {free / 1e9:.1f} GB free "
            f"in {folder.parent}: set GRAFTLM_HOME to a larger disk"
        )
