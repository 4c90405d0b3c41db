"""Optimizers of bitsandbytes: AdamW and Lion with state in 8 bits, and state that leaves a full GPU."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from graftlm.api import Optimizer, Option, Requirement, hookimpl

from .betas import BETA1, BETA2, EPS, beta

if TYPE_CHECKING:
    from graftlm.api import Situation

SCALES = 4 / 256
"""Bytes of the scale that 256 numbers of 8 bits share."""
SMALL = Option(
    name="min_8bit_size",
    type="int",
    default=4096,
    minimum=1,
    help="tensors of fewer parameters keep their state in 32 bits",
)
REQUIRES = (Requirement(distribution="bitsandbytes", minimum="0.50", below="0.51", extra="bitsandbytes"),)


def _made(name: str, groups: Any, learning_rate: float, weight_decay: float, options: Mapping[str, Any]) -> Any:
    import bitsandbytes

    given: dict[str, Any] = {"betas": (options["beta1"], options["beta2"])}
    given |= {key: options[key] for key in ("eps", "min_8bit_size") if key in options}
    return getattr(bitsandbytes.optim, name)(groups, lr=learning_rate, weight_decay=weight_decay, **given)


def adamw_8bit(groups: Any, *, learning_rate: float, weight_decay: float, options: Mapping[str, Any]) -> Any:
    return _made("AdamW8bit", groups, learning_rate, weight_decay, options)


def paged_adamw(groups: Any, *, learning_rate: float, weight_decay: float, options: Mapping[str, Any]) -> Any:
    return _made("PagedAdamW32bit", groups, learning_rate, weight_decay, options)


def paged_adamw_8bit(groups: Any, *, learning_rate: float, weight_decay: float, options: Mapping[str, Any]) -> Any:
    return _made("PagedAdamW8bit", groups, learning_rate, weight_decay, options)


def lion(groups: Any, *, learning_rate: float, weight_decay: float, options: Mapping[str, Any]) -> Any:
    return _made("Lion32bit", groups, learning_rate, weight_decay, options)


def lion_8bit(groups: Any, *, learning_rate: float, weight_decay: float, options: Mapping[str, Any]) -> Any:
    return _made("Lion8bit", groups, learning_rate, weight_decay, options)


def supports(situation: Situation) -> Sequence[str]:
    if situation.device in ("cpu", "cuda"):
        return ()
    return (f"bitsandbytes steps on a CPU and on CUDA, and was not tried on {situation.device}: choose adamw",)


def paged(situation: Situation) -> Sequence[str]:
    if situation.device == "cuda":
        return ()
    without = "leave 'paged-' out of the optimizer's name"
    return (f"pages move between a CUDA GPU and the CPU, and there are none on {situation.device}: {without}",)


@hookimpl
def graftlm_optimizers() -> Iterable[Optimizer]:
    adam, lions = (BETA1, BETA2, EPS), (BETA1, beta("beta2", 0.99, "how long the momentum remembers"))
    eight = 1 + SCALES
    leaves = "which leaves a full GPU for the CPU's memory"
    for name, summary, target, state, options, fits in (
        ("adamw-8bit", "AdamW with state in 8 bits", adamw_8bit, 2 * eight, (*adam, SMALL), supports),
        ("paged-adamw", f"AdamW with state in 32 bits, {leaves}", paged_adamw, 8.0, adam, paged),
        (
            "paged-adamw-8bit",
            f"AdamW with state in 8 bits, {leaves}",
            paged_adamw_8bit,
            2 * eight,
            (*adam, SMALL),
            paged,
        ),
        ("lion", "Lion, the sign of a momentum: wants a third of AdamW's rate, or less", lion, 4.0, lions, supports),
        ("lion-8bit", "Lion with state in 8 bits", lion_8bit, eight, (*lions, SMALL), supports),
    ):
        yield Optimizer(
            name=name,
            summary=summary,
            target=f"{__name__}:{target.__name__}",
            state_bytes=state,
            options=options,
            requires=REQUIRES,
            supports=fits,
        )
