"""PEFT's other methods, by their names: options from a committed schema, so that PEFT is not imported to check them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graftlm.api import Option, Requirement, TuningMethod, hookimpl

from .counting import COUNTS
from .names import misnamed

if TYPE_CHECKING:
    from graftlm.api import FamilyFacts, MethodPlan, Situation

PEFT = Requirement(distribution="peft", minimum="0.21", below="0.22", extra="peft")
TARGET = "graftlm_plugins.methods.peft_tuner:PeftTuner"


@cache
def _schema() -> Mapping[str, Mapping[str, Any]]:
    found: Mapping[str, Mapping[str, Any]] = json.loads(Path(__file__).with_suffix(".json").read_bytes())
    return found


def methods() -> Mapping[str, Mapping[str, Any]]:
    """The schema's methods by name; see ``make_schema``."""
    return _schema()["methods"]


def option(field: Mapping[str, Any]) -> Option:
    default = field["default"]
    return Option(
        name=field["name"],
        type=field["type"],
        default=tuple(default) if isinstance(default, list) else default,
        help=field["help"],
        choices=tuple(field["choices"]),
    )


def left_out() -> Mapping[str, str]:
    """Why the other methods of PEFT, and names that are none, cannot be chosen."""
    others = {name: why for name, why in _schema()["left_out"].items() if name != "lora"}
    return {**others, "qlora": "it is LoRA on a quantized base: say --method lora --quantization nf4"}


def impossible(name: str, why: str) -> TuningMethod:
    """A method that is known, so that whoever asks for it is told why there is none."""
    return TuningMethod(
        name=name,
        aliases=_dashed(name),
        summary=f"left out: {why}",
        keeps="adapter",
        target=TARGET,
        unavailable=why,
        check=lambda method, facts: (f"cannot be chosen: {why}",),
        supports=lambda situation: (f"cannot be chosen: {why}",),
    )


def _dashed(name: str) -> tuple[str, ...]:
    return (name.replace("_", "-"),) if "_" in name else ()


def against(method: MethodPlan, facts: FamilyFacts) -> Sequence[str]:
    """Reasons against a plan, its options together and for this model."""
    return [*reasons(method.options), *misnamed(method, facts)]


def reasons(options: Mapping[str, Any]) -> Sequence[str]:
    """What no method can do, whichever it is."""
    found = [f"{name}: layers are counted from 0" for name in ("layers_to_transform",) if _below(options.get(name), 0)]
    if options.get("layers_pattern") and not options.get("layers_to_transform"):
        found.append("layers_pattern says where the layers' numbers are, and layers_to_transform names none")
    for name, mapping in options.items():
        if name == "rank_pattern" and isinstance(mapping, Mapping):
            found += [f"rank_pattern: the rank of {key} is {rank}" for key, rank in mapping.items() if not _rank(rank)]
    if "token_indices" in options and not options["token_indices"]:
        found.append("token_indices names no token: --set method.token_indices=5,6")
    if "oft_block_size" in options and bool(options["r"]) == bool(options["oft_block_size"]):
        found.append("give oft_block_size, or r with oft_block_size=0: each follows from the other")
    return found


def _below(values: Any, least: int) -> bool:
    return any(value < least for value in values or ())


def _rank(value: Any) -> bool:
    """A share below 1 is a rank too, for methods that keep singular directions."""
    return isinstance(value, int | float) and value > 0


def unquantized(name: str) -> Callable[[Situation], Sequence[str]]:
    """The predicate of a method that reads or changes the weights themselves."""

    def supports(situation: Situation) -> Sequence[str]:
        if not situation.quantization_bits:
            return ()
        return (
            f"{name} works on the base's own weights, which are quantized: "
            "choose --method lora, or --quantization none",
        )

    return supports


@hookimpl
def graftlm_tuning_methods() -> Iterable[TuningMethod]:
    for name, method in methods().items():
        more: dict[str, Any] = {} if method["quantized"] else {"supports": unquantized(name)}
        yield TuningMethod(
            name=name,
            aliases=_dashed(name),
            summary=method["summary"],
            keeps="adapter",
            target=TARGET,
            requires=(PEFT,),
            settings=tuple(method["settings"]),
            suggestions=method["suggestions"],
            trained=COUNTS.get(name),
            check=against,
            options=tuple(map(option, method["fields"])),
            **more,
        )
    for name, why in left_out().items():
        yield impossible(name, why)
