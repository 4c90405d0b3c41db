"""What a cell is worth, by weights that the user names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from graftlm.contracts.errors import UsageError
from graftlm_registry.suggestions import unknown

from .model import Learned

WEIGHTS: Mapping[str, float] = {"new": 1.0, "old": 0.5, "forgetting": 0.5, "speed": 0.0, "memory": 0.0, "size": 0.0}
"""Where nothing else is said. What is weighed, higher is better: the new skills' score; the mean change of the old
ones' (a loss counts below 0); the loss on the retention text in nats a token (a rise counts below 0); tokens a second,
memory and the adapter's size as shares of the best cell's. Half each, where two say what was forgotten.
"""


def weights_of(words: Sequence[str]) -> dict[str, float]:
    """``new=1,forgetting=2``; what is not named weighs nothing. ``UsageError`` where a name or a number is none."""
    found: dict[str, float] = {}
    for word in (part for each in words for part in each.split(",")):
        name, equals, value = word.partition("=")
        if name not in WEIGHTS:
            raise UsageError(f"--weigh {word}: {unknown('weight', name, WEIGHTS)}")
        try:
            found[name] = float(value) if equals else 1.0
        except ValueError:
            raise UsageError(f"--weigh {word}: {value!r} is not a number, as in --weigh {name}=2") from None
        if not 0 <= found[name] < 1e6:
            raise UsageError(f"--weigh {word}: a weight is a number from 0 on")
    if found and not any(found.values()):
        raise UsageError("--weigh: nothing weighs anything: give at least one weight above 0")
    return {name: found.get(name, 0.0) for name in WEIGHTS} if found else dict(WEIGHTS)


def share_of_new(learned: Sequence[Learned]) -> float:
    """The mean over the new skills, of the first metric of each. A share is itself; of another unit, what is best is
    1: a loss of 0.
    """
    first: dict[str, Learned] = {}
    for each in learned:
        if each.role == "new":
            first.setdefault(each.evaluation, each)
    return _mean([_in_shares(each) for each in first.values()])


def _in_shares(learned: Learned) -> float:
    value = learned.after.value
    if learned.unit == "fraction":
        return value if learned.higher_is_better else 1 - value
    if learned.higher_is_better:
        return value / 100 if learned.evaluator == "translation" else value  # BLEU and chrF go up to 100
    return 1 / (1 + max(0.0, value))


def change_of_old(learned: Sequence[Learned]) -> float:
    """The mean change over the old skills, of the first share of each."""
    first: dict[str, float] = {}
    for each in learned:
        if each.role == "old" and each.unit == "fraction" and each.higher_is_better:
            first.setdefault(each.evaluation, each.change.value)
    return _mean(list(first.values()))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
