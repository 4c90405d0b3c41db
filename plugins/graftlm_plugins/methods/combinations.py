"""How LoRA adapters become one: the ways, what each needs, and what cannot be combined. Reads JSON, imports no PEFT."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from graftlm.api import Combination, Option, StoreError

from .peft_files import CONFIG

WAYS = (
    Combination(name="linear", summary="weighted sums of the factors", equal_ranks=True),
    Combination(name="cat", summary="the exact weighted sum, its rank that of all together"),
    Combination(name="svd", summary="the weighted sum, cut to a rank by its singular values", any_rank=True),
    Combination(name="ties", summary="the largest numbers, where the signs agree", equal_ranks=True, density=True),
    Combination(
        name="dare_ties", summary="drawn numbers, where the signs agree", equal_ranks=True, density=True, random=True
    ),
    Combination(name="dare_linear", summary="sums of drawn numbers", equal_ranks=True, density=True, random=True),
    Combination(name="magnitude_prune", summary="sums of the largest numbers", equal_ranks=True, density=True),
)
PLAIN = (
    "task_type", "peft_type", "auto_mapping", "peft_version", "base_model_name_or_path", "revision", "inference_mode",
    "r", "target_modules", "exclude_modules", "lora_alpha", "lora_dropout", "fan_in_fan_out", "use_rslora",
    "init_lora_weights", "layers_to_transform", "layers_pattern", "rank_pattern", "alpha_pattern", "megatron_core",
    "loftq_config", "runtime_config", "qalora_group_size", "ensure_weight_tying", "eva_config", "corda_config",
    "lora_ga_config",
)  # fmt: skip
"""Fields of an adapter that is low-rank matrices alone, and of how its training started."""
WHY = {
    "use_dora": "it is DoRA, whose magnitudes do not add up",
    "bias": "it trains biases",
    "lora_bias": "it has biases behind its matrices",
    "modules_to_save": "it keeps whole modules",
    "trainable_token_indices": "it trains the embeddings of single tokens",
    "target_parameters": "it adapts the tensors of fused experts",
    "use_qalora": "it is QA-LoRA, whose matrices are of other shapes",
    "layer_replication": "it doubles layers of its base",
}
SAME = ("layers_to_transform", "layers_pattern", "exclude_modules", "fan_in_fan_out")
"""Fields that say which layers are adapted, of which what is made can only have one."""


def reasons_against(way: Combination, rank: int, folders: Mapping[str, Path]) -> Sequence[str]:
    """One for each adapter that cannot be combined; else what does not go together."""
    configs = {name: _config(folder) for name, folder in folders.items()}
    found = [f"{name} cannot be combined: {why}" for name, config in configs.items() if (why := _why(config))]
    return found or [*_together(configs), *_ranks(way, rank, configs)][:1]


def _why(config: Mapping[str, Any]) -> str:
    if config.get("peft_type") != "LORA":
        return f"it is {config.get('peft_type')}, and only LoRA can"
    for name, value in config.items():
        if name not in PLAIN and value not in (None, False, "none", [], {}):
            return WHY.get(name, f"it has {name}, which is not LoRA's matrices alone")
    return ""


def _together(configs: Mapping[str, Mapping[str, Any]]) -> Sequence[str]:
    (first, one), *others = configs.items()
    for name, other in others:
        for field in SAME:
            mine, theirs = one.get(field) or None, other.get(field) or None
            if mine != theirs:
                return [
                    f"{first} and {name} do not adapt the same layers ({field}: {_said(mine)} and {_said(theirs)}): "
                    "only the names of their modules may differ"
                ]
        patterns = [config["target_modules"] for config in (one, other) if isinstance(config["target_modules"], str)]
        if patterns and one["target_modules"] != other["target_modules"]:
            return [
                f"{first} and {name} do not adapt the same modules, and {_said(patterns[0])} is a regular expression, "
                "which cannot be joined with other names"
            ]
    return ()


def _ranks(way: Combination, rank: int, configs: Mapping[str, Mapping[str, Any]]) -> Sequence[str]:
    ranks = {name: largest_rank(config) for name, config in configs.items()}
    others = "cat and svd take any ranks"
    if way.equal_ranks:
        for name, config in configs.items():
            if config.get("rank_pattern"):
                return [f"{way.name} needs one rank, and {name} has others for some modules (rank_pattern): {others}"]
        if len(set(ranks.values())) > 1:
            said = ", ".join(f"{name} {rank}" for name, rank in ranks.items())
            return [f"{way.name} needs adapters of the same rank, and these have {said}: {others}"]
    if rank > sum(ranks.values()):
        return [f"rank {rank} is more than all of them have together, {sum(ranks.values())}: give that at most"]
    return ()


def largest_rank(config: Mapping[str, Any]) -> int:
    return max(int(config["r"]), *map(int, (config.get("rank_pattern") or {}).values()), 0)


def settings_of(options: Sequence[Option]) -> Callable[[Path], Mapping[str, Any]]:
    """A reader of what was made: its settings, and these options."""

    def settings(folder: Path) -> Mapping[str, Any]:
        config = _config(folder)
        kept = {o.name: config[o.name] for o in options if config.get(o.name) is not None and o.type != "str"}
        targets = config["target_modules"]
        return {
            "rank": config["r"],
            "alpha": float(config["lora_alpha"]),
            "dropout": config["lora_dropout"],
            "target_modules": [targets] if isinstance(targets, str) else sorted(targets),
            "options": {o.name: o.default for o in options} | kept,
        }

    return settings


def _config(folder: Path) -> Mapping[str, Any]:
    try:
        found: Mapping[str, Any] = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StoreError(f"{folder / CONFIG} cannot be read: {error}") from None
    return found


def _said(value: Any) -> str:
    return "all" if value is None else ", ".join(map(str, value)) if isinstance(value, list) else str(value)
