"""What the rows' hashes tell: duplicates, contradictions, and rows on both sides of a split."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .places import SHOWN, Places
from .repeats import Mask, RowHashes, Rows, among, first_with, repeated

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicates:
    """``exact`` rows are the same as one before them, ``folded`` ones but for case and white space.

    ``contradictions`` rows ask what a row before them asks (but for case and white space) and answer something else;
    ``questions`` counts what they ask. ``asked`` are the different questions of all rows. Pairs are (place, place of
    the first such row).
    """

    exact: int
    first_exact: Pairs
    folded: int
    first_folded: Pairs
    questions: int
    contradictions: int
    first_contradictions: Pairs
    asked: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaks:
    """Rows that are kept for validation or test and trained on too: ``exact`` ones are the same, ``normalised`` ones
    ask the same but for case and white space (exact ones are not counted again). ``between`` counts test rows that ask
    what a validation row asks. ``first`` and ``first_between`` are (place, place on the other side).
    """

    exact: int
    normalised: int
    first: Pairs
    between: int
    first_between: Pairs


def duplicates(hashes: RowHashes, places: Places) -> tuple[Duplicates, Mask]:
    """And which rows are the first of those that are the same but for case and white space."""
    fresh = np.ones(len(places), bool)
    later, first = repeated(hashes.question_and_answer)
    fresh[later] = False
    exact, exact_first = repeated(hashes.whole) if len(later) else (later, first)
    other_words = ~among(later, exact)
    folded, folded_first = later[other_words], first[other_words]
    asking, asked = repeated(hashes.asked)
    different = len(places) - len(asking)
    other = hashes.answered[asking] != hashes.answered[asked]
    asking, asked = asking[other], asked[other]
    found = Duplicates(
        exact=len(exact),
        first_exact=_pairs(exact, exact_first, places),
        folded=len(folded),
        first_folded=_pairs(folded, folded_first, places),
        questions=len(np.unique(asked)),
        contradictions=len(asking),
        first_contradictions=_pairs(asking, asked, places),
        asked=different,
    )
    return found, fresh


def leaks(hashes: RowHashes, places: Places) -> Leaks:
    """Rows of one split among the rows of another."""
    is_trained = hashes.of_split("train")
    trained, held = np.flatnonzero(is_trained), np.flatnonzero(~is_trained)
    leaked = _asked_again(hashes, held, trained)
    exact = int(among(hashes.whole[leaked], np.sort(hashes.whole[trained])).sum()) if len(leaked) else 0
    validation, test = np.flatnonzero(hashes.of_split("validation")), np.flatnonzero(hashes.of_split("test"))
    between = _asked_again(hashes, test, validation)
    return Leaks(
        exact=exact,
        normalised=len(leaked) - exact,
        first=_first(hashes, leaked, trained, places),
        between=len(between),
        first_between=_first(hashes, between, validation, places),
    )


def _asked_again(hashes: RowHashes, rows: Rows, others: Rows) -> Rows:
    return rows[among(hashes.asked[rows], np.sort(hashes.asked[others]))]


def _first(hashes: RowHashes, rows: Rows, others: Rows, places: Places) -> Pairs:
    shown = rows[:SHOWN]
    return _pairs(shown, first_with(hashes.asked, others, hashes.asked[shown]), places) if len(shown) else ()


def _pairs(rows: Rows, others: Rows, places: Places) -> Pairs:
    shown = zip(rows[:SHOWN].tolist(), others[:SHOWN].tolist(), strict=True)
    return tuple((places[row], places[other]) for row, other in shown)
