"""An adapter's two files, written and read strictly: safetensors and JSON, every tensor accounted for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from graftlm.api import RunError

CONFIG, TENSORS, ADAPTER = "adapter_config.json", "adapter_model.safetensors", "default"
NEVER = ("auto_mapping", "megatron_config", "runtime_config")
"""What PEFT would import or run by."""


def state(model: Any, name: str = ADAPTER) -> dict[str, Any]:
    """The adapter's tensors by the names that they have in a file."""
    from peft import get_peft_model_state_dict

    # "auto" would ask a hub whether the base's embeddings are its own
    found: dict[str, Any] = get_peft_model_state_dict(model, adapter_name=name, save_embedding_layers=False)
    return found


def write(model: Any, folder: Path) -> None:
    """Both files. The JSON is sorted, and says the same wherever it is written; no path of this machine is in it."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state(model).items()}
    save_file(tensors, folder / TENSORS, metadata={"format": "pt"})
    config = model.peft_config[ADAPTER].to_dict() | {"inference_mode": True, "auto_mapping": None}
    if Path(config.get("base_model_name_or_path") or "").is_absolute():
        config["base_model_name_or_path"] = None
    text = json.dumps(plain(config), indent=2, sort_keys=True, ensure_ascii=False)
    (folder / CONFIG).write_text(text + "\n", encoding="utf-8")


def plain(value: Any) -> Any:
    """As JSON has it: sets sorted, tuples lists, words of an enumeration their values."""
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(plain(each) for each in value)
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return getattr(value, "value", value)


def read_config(folder: Path) -> Any:
    """The PEFT configuration in a folder; ``RunError`` where it is not one, or holds what this PEFT does not know."""
    from dataclasses import fields

    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    path = folder / CONFIG
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        made = PEFT_TYPE_TO_CONFIG_MAPPING[known["peft_type"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path} is not the configuration of an adapter: {error}") from error
    strange = sorted(set(known) - {f.name for f in fields(made) if f.init})
    if strange:
        raise RunError(f"{path} has {strange[0]}, which this release of PEFT does not know")
    for name in NEVER:
        if known.get(name):
            raise RunError(f"{path} has {name}, which graftlm does not take from a file")
    try:
        return made(**{name: value for name, value in known.items() if name not in NEVER})
    except (TypeError, ValueError) as error:
        raise RunError(f"{path} is not the configuration of an adapter: {error}") from error


def load_tensors(model: Any, folder: Path, name: str = ADAPTER) -> None:
    """Fill the adapter ``name`` from a folder. ``RunError`` where a tensor lacks, is one too many, has another shape,
    or PEFT did not take it: PEFT itself says nothing of that.
    """
    import torch
    from peft import set_peft_model_state_dict
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = folder / TENSORS
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise RunError(f"{path} cannot be read: {error}") from error
    expected = state(model, name)
    lacking, strange = sorted(expected.keys() - tensors.keys()), sorted(tensors.keys() - expected.keys())
    if lacking:
        raise RunError(f"{path} lacks {len(lacking)} tensors of the adapter, the first {lacking[0]}")
    if strange:
        raise RunError(f"{path} has {len(strange)} tensors that do not fit this base, the first {strange[0]}")
    for key, tensor in tensors.items():
        if tensor.shape != expected[key].shape:
            said = f"{tuple(tensor.shape)} in the file, and {tuple(expected[key].shape)} in this base"
            raise RunError(f"{path} does not fit this base: {key} is {said}")
    set_peft_model_state_dict(model, dict(tensors), adapter_name=name)
    for key, tensor in state(model, name).items():
        if not torch.equal(tensor.cpu(), tensors[key].to(tensor.dtype)):
            raise RunError(f"PEFT did not load {key} from {path}")
