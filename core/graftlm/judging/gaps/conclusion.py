"""Where the gap is, in words, and how far the number of rows lets one say so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .breakdown import Breakdown, Group
from .kinds import MEANINGS, Kind

UNLIKELY = 0.01
"""Groups that differ so much no more often than this by chance are told."""
DRAWS = 4000
SEED = 0
FEW_ROWS = 50
FEW_OF_A_GROUP = 10
NAMED = 8
"""Groups that a sentence lists."""
ADVICE: Mapping[Kind, str] = {
    "empty": "The model ends before it has said anything: look at the template first",
    "refuses": "It declines what it is asked: rows that answer such prompts are what it lacks",
    "other-language": "The prompts leave the language open, or it hardly knows this one",
    "run-on": "It does not stop where it should: that is learned from rows of any content, and a prompt may do it",
    "wrong-format": "The form comes first: what the model knows shows when it has that, and a prompt may be enough "
    "(see 'graftlm advise')",
    "wrong-label": "It has the form, and mistakes the classes: rows of the classes that fail are what it lacks",
    "wrong-answer": "It has the form, and not the content: rows like those that fail are what it lacks",
}


def conclusion(every: Group, kinds: Sequence[Group], parts: Sequence[Breakdown]) -> tuple[str, ...]:
    """Sentences, the most important first."""
    if not every.wrong:
        return (
            f"None of the {every.n} rows is wrong. So many rows leave it open whether up to {every.high:.0%} of all "
            "such rows are.",
        )
    found = _by_kinds(every, kinds)
    kind_sentences = len(found)
    if every.wrong == every.n:
        return (*found, "Every row is wrong, so no group of them stands out.")
    found += [sentence for part in parts if (sentence := _by_part(part, every))]
    if len(found) == kind_sentences and parts:
        among = _listed([part.by for part in parts])
        found.append(f"The failures are spread: by {among}, no groups differ by more than chance may bring.")
    if every.n < FEW_ROWS:
        found.append(
            f"{every.n} rows are few: the share of wrong rows may be anything from {every.low:.0%} to {every.high:.0%}."
        )
    return tuple(found)


def _by_kinds(every: Group, kinds: Sequence[Group]) -> list[str]:
    """Prompts that were not asked say nothing of the model, and stand apart."""
    long = next((kind for kind in kinds if kind.name == "too-long"), None)
    others = [kind for kind in kinds if kind is not long]
    found = [] if long is None else [_too_long(long)]
    if others:
        found.append(_most(others[0], every.wrong - (long.wrong if long else 0), long is not None))
    return found


def _too_long(long: Group) -> str:
    are, do, them = ("is", "its prompt does", "it") if long.wrong == 1 else ("are", "their prompts do", "them")
    return (
        f"{long.wrong} of the {long.n} rows {are} too long: {do} not fit the model's positions, so that nothing was "
        f"asked. Shorten {them}, or take a model, or a --context-length, with more room."
    )


def _most(first: Group, wrong: int, others: bool) -> str:
    kind = next(kind for kind in MEANINGS if kind == first.name)
    if 2 * first.wrong > wrong:
        most = "Most of the other failures are" if others else "Most failures are"
    else:
        most = f"The most frequent of the {'other ' if others else ''}failures is"
    return f"{most} '{first.name}' ({MEANINGS[kind]}): {first.wrong} of {wrong}. {ADVICE[kind]}."


def _by_part(part: Breakdown, every: Group) -> str:
    """The groups that fail more often than all rows do, where the groups differ by more than chance."""
    chance = by_chance(part.groups)
    worse = [g for g in part.groups if g.share > every.share]
    if chance > UNLIKELY or not worse:
        return ""
    wrong, n = sum(g.wrong for g in worse), sum(g.n for g in worse)
    worse.sort(key=lambda g: (-g.wrong, -g.share))
    names = _listed([f"{g.name} ({g.wrong} of {g.n})" for g in worse[:NAMED]], len(worse) - NAMED)
    smallest = min(g.n for g in worse)
    few = len(worse) > 1 and smallest < FEW_OF_A_GROUP
    doubt = f" Each has few rows (the smallest {smallest}): which of them is worst is not sure." if few else ""
    return (
        f"By {part.by}, {wrong} of the {every.wrong} failures are in {len(worse)} of {len(part.groups)} groups: "
        f"{names}. In the others {every.wrong - wrong} of {every.n - n} rows fail (by chance alone: "
        f"{_rarely(chance)}).{doubt}"
    )


def by_chance(groups: Sequence[Group]) -> float:
    """How often groups of these sizes differ as much as these, or more, where every row is as likely to fail as any
    other: a permutation test with the chi-squared statistic, with a fixed seed.
    """
    import numpy as np

    sizes, wrong = np.array([g.n for g in groups]), np.array([g.wrong for g in groups])
    if not 0 < wrong.sum() < sizes.sum():
        return 1.0
    likely = sizes * (wrong.sum() / sizes.sum())
    drawn = np.random.default_rng(SEED).multivariate_hypergeometric(sizes, int(wrong.sum()), size=DRAWS)
    uneven = ((drawn - likely) ** 2 / sizes).sum(axis=1)
    seen = float(((wrong - likely) ** 2 / sizes).sum())
    return float((1 + (uneven >= seen - 1e-9).sum()) / (1 + DRAWS))


def _rarely(chance: float) -> str:
    return "less than 1 in 1,000" if chance < 0.001 else f"{round(chance * 1000)} in 1,000"


def _listed(names: Sequence[str], more: int = 0) -> str:
    if more > 0:
        return f"{', '.join(names)} and {more} more"
    return " and ".join((", ".join(names[:-1]), names[-1])) if len(names) > 1 else names[0]
