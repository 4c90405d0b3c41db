"""The strict check of a PEFT ``adapter_config.json`` that comes from outside.

What PEFT would import, run or build by is refused or left out; every other key must be one that the kind of adapter
has, with a value of its type, within bounds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from graftlm.contracts.errors import StoreError

from .safetensors_file import Header, shortened
from .strict_json import check_words, is_plain

NAME = "adapter_config.json"
EMPTY: tuple[Any, ...] = (None, False, "", [], {})
REFUSED = {
    "auto_map": "it would load code of its own",
    "runtime_config": "it says how to run, and not what the adapter is",
    "megatron_config": "it builds layers of Megatron's",
    "layer_replication": "it makes another model of the base",
    "alora_invocation_tokens": "the adapter would be off until these tokens come",
}
STARTS = ("loftq_config", "eva_config", "corda_config", "lora_ga_config")
"""How training started, which the tensors have left behind."""
USUAL_STARTS = (True, False, "gaussian", "orthogonal")
ALPHAS = ("lora_alpha", "alpha", "randlora_alpha", "psoft_alpha", "delora_lambda")
RANKS = ("r", "mini_r", "hybrid_r")
LARGEST_RANK = 65_536
ANY_RANK = 1024
"""A rank up to this needs no tensor that is as large."""
LARGEST_NUMBER, LARGEST_SEED, LARGEST_FACTOR = 1 << 24, 1 << 63, 1e6
MOST_ITEMS = 100_000
WORD = re.compile(r"[A-Za-z0-9_.+-]{0,64}")
LIBRARY = re.compile(r"transformers(?:\.models)?\.[a-z0-9_]+(?:\.[a-z0-9_]+)?")
LONGEST_BASE = 512
LAYOUT, USUAL_LAYOUT = "lora_B_layout", "rank_major"
"""How Unsloth lays out the second matrices of experts, where it says so; PEFT knows one way alone."""


@lru_cache(maxsize=1)
def known() -> Any:
    """What an adapter's configuration may hold, by its kind: made from the installed PEFT."""
    return json.loads(Path(__file__).with_name("peft_configs.json").read_text(encoding="utf-8"))


def check_config(given: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The configuration as it may be kept, and what was left out of it; ``StoreError`` that says which key is wrong."""
    kind = given.get("peft_type")
    if not isinstance(kind, str) or kind not in known()["kinds"]:
        _refuse_kind(kind)
    types = known()["kinds"][kind]["keys"]
    made, notes = dict(given), _without_strange(given, types)
    _check_layout(made, made.get("auto_mapping"))
    for key, why in REFUSED.items():
        if key in made and made[key] not in EMPTY:
            raise _wrong(key, f"and graftlm does not take that from a file: {why}")
    _check_mapping(made.pop("auto_mapping", None))
    if made.get("megatron_core") not in (None, "megatron.core"):
        raise _wrong("megatron_core", "which is a module that would be imported")
    if made.get("task_type") not in (None, "CAUSAL_LM"):
        raise StoreError(
            f"{NAME} is of an adapter for {shortened(str(made['task_type']))}, and graftlm's are for CAUSAL_LM"
        )
    notes += _start(made)
    made = {key: value for key, value in made.items() if key in types and key not in REFUSED}
    for key, value in made.items():
        _check_value(key, value, types[key])
    base = made.get("base_model_name_or_path") or ""
    if Path(base).is_absolute() or re.match(r"[A-Za-z]:|~|\\|\.\.", base):
        made["base_model_name_or_path"] = None
        notes.append("the base's path, which means nothing elsewhere, was left out of the configuration")
    return made | {"inference_mode": True}, notes


def check_rank(config: Mapping[str, Any], header: Header) -> None:
    """PEFT makes room for a rank before it sees the tensors: a large one must be theirs."""
    largest = max(max(tensor.shape, default=0) for tensor in header.tensors.values())
    asked = [config.get(key) for key in RANKS] + list((config.get("rank_pattern") or {}).values())
    rank = max((n for n in asked if isinstance(n, int | float)), default=0)
    if rank > max(ANY_RANK, largest):
        raise StoreError(f"{NAME} asks for a rank of {rank:,}, and none of the tensors is that large")


def _refuse_kind(kind: object) -> None:
    if kind in known()["not_taken"]:
        raise StoreError(
            f"{NAME} is of an adapter of the type {kind}, which graftlm has no method for; it takes "
            f"{', '.join(known()['kinds'])}"
        )
    said = "does not say its peft_type" if kind is None else f"has a peft_type that PEFT does not know: {_said(kind)}"
    raise StoreError(f"{NAME} {said}")


def _without_strange(given: Mapping[str, Any], types: Mapping[str, Any]) -> list[str]:
    """A note on keys of another release of PEFT that say nothing. One that says something is refused."""
    strange = sorted(given.keys() - types.keys() - REFUSED.keys() - {LAYOUT})
    for key in strange:
        if given[key] not in EMPTY:
            raise StoreError(
                f"{NAME} has a key that this release of PEFT does not know for {given['peft_type']}, {shortened(key)}: "
                "take it out, if the adapter is the same without it"
            )
        check_words(key, f"a key of {NAME}", 100)
    return (
        [f"empty keys that this release of PEFT does not know were left out: {', '.join(strange)}"] if strange else []
    )


def _check_mapping(value: object) -> None:
    """What PEFT writes where no task was named. It is not kept: PEFT could import by it."""
    if value in EMPTY:
        return
    if isinstance(value, dict) and value.keys() <= {"base_model_class", "parent_library", "unsloth_fixed", LAYOUT}:
        named, library = value.get("base_model_class", ""), value.get("parent_library", "")
        if isinstance(named, str) and named.isidentifier() and isinstance(library, str) and LIBRARY.fullmatch(library):
            return
    raise _wrong("auto_mapping", "which names something else to import than a model of transformers")


def _check_layout(config: Mapping[str, Any], mapping: object) -> None:
    """Refuse experts whose matrices PEFT would read in another order than they were written in."""
    mapping = mapping if isinstance(mapping, dict) else {}
    layout = config.get(LAYOUT, mapping.get(LAYOUT))
    unsaid = layout is None and config.get("target_parameters") and mapping.get("unsloth_fixed")
    if unsaid or layout not in (None, USUAL_LAYOUT):
        raise _wrong(
            "target_parameters",
            "whose matrices may be in an order of Unsloth's own, which PEFT would misread: "
            "save the adapter again with a release of Unsloth that writes lora_B_layout",
        )


def _start(made: dict[str, Any]) -> list[str]:
    """Drop how training started; refuse where that took something out of the base."""
    begun = made.get("init_lora_weights", True)
    if begun == "eva":
        made["init_lora_weights"] = True
    elif not any(type(begun) is type(usual) and begun == usual for usual in USUAL_STARTS):
        raise _wrong(
            "init_lora_weights",
            f"which is {_said(begun)}: such an adapter does not fit the base itself; save it again with "
            "save_pretrained(…, path_initial_model_for_weight_conversion=…)",
        )
    dropped = [key for key in STARTS if made.pop(key, None) not in EMPTY]
    return [f"how its training started was left out: {', '.join(dropped)}"] if dropped else []


def _check_value(key: str, value: Any, types: Iterable[str]) -> None:
    """One value is of one of the types, and within bounds."""
    kinds = set(types)
    if value is None and ("null" in kinds or "other" in kinds):
        return
    if isinstance(value, bool):
        good = "bool" in kinds
    elif isinstance(value, int | float):
        good = _is_number(key, value, kinds)
    elif isinstance(value, str):
        good = f"={value}" in kinds or ("str" in kinds and _is_word(key, value))
    elif isinstance(value, list):
        good = _is_list(value, kinds)
    else:
        good = isinstance(value, dict) and ("mapping" in kinds or not value) and _is_mapping(key, value)
    if not good:
        raise _wrong(key, f"which cannot be {_said(value)}")


def _is_number(key: str, value: float, kinds: set[str]) -> bool:
    if key in RANKS or key == "effective_rank":
        return ("float" in kinds or isinstance(value, int)) and 0 <= value <= LARGEST_RANK
    if isinstance(value, float) or not ("int" in kinds or key in ALPHAS):
        fits = ("float" in kinds or key in ALPHAS) and abs(value) <= LARGEST_FACTOR
        return fits and (0 <= value < 1 or not key.endswith("dropout"))
    if key.endswith("dropout"):
        return value == 0
    if "seed" in key or key.endswith("_key"):
        return -LARGEST_SEED <= value < LARGEST_SEED
    return -1 <= value <= (LARGEST_FACTOR if key in ALPHAS else LARGEST_NUMBER)


def _is_word(key: str, value: str) -> bool:
    if key == "base_model_name_or_path":
        check_words(value, f"{key} in {NAME}", LONGEST_BASE)
        return True
    if key in ("target_modules", "exclude_modules", "feedforward_modules"):
        return len(value) <= MOST_ITEMS  # it is not run as it stands: see module_patterns
    if key in ("layers_pattern", "modules_to_save"):
        return not value or is_plain(value)
    if key == "bias":
        return value in ("none", "all") or re.fullmatch(r"[a-z0-9]{1,20}_only", value) is not None
    return WORD.fullmatch(value.replace("@", "+") if key == "peft_version" else value.replace("/", "_")) is not None


def _is_list(value: list[Any], kinds: set[str]) -> bool:
    if len(value) > MOST_ITEMS:
        return False
    strings = "strings" in kinds and all(map(is_plain, value))
    return not value or strings or ("ints" in kinds and all(type(n) is int and 0 <= n < 1 << 31 for n in value))


def _is_mapping(key: str, value: dict[str, Any]) -> bool:
    """By module: a number, or a list of tokens. What its keys are is checked where the tensors are known."""
    if len(value) > MOST_ITEMS:
        return False
    if key == "trainable_token_indices":
        return all(isinstance(tokens, list) and _is_list(tokens, {"ints"}) for tokens in value.values())
    most = LARGEST_RANK if key == "rank_pattern" else LARGEST_FACTOR
    numbers = [n for n in value.values() if type(n) in (int, float)]
    return len(numbers) == len(value) and all(0 <= n <= most for n in numbers)


def _wrong(key: str, why: str) -> StoreError:
    return StoreError(f"{NAME} has {key}, {why}")


def _said(value: object) -> str:
    return shortened(value if isinstance(value, str) else json.dumps(value)[:100])
