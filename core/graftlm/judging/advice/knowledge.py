"""Is it knowledge that is asked for, which no prompt and no tuning can infer?

The evidence, all of which is needed: the answers are short, and most of those of validation are no training row's
answers; they are not taken from the prompt; and among training rows nothing in a question tells of its answer. The
last two are permutation tests: the real pairs of questions and answers against the same ones dealt out anew. An effect
that is significant and yet smaller than what is commonly called small (Cohen 1988) counts as none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graftlm.contracts.conversation import Conversation
from graftlm.data.splitting import LONGEST_CLASS, folded, normalised

from .similarity import cosines

if TYPE_CHECKING:
    from numpy.typing import NDArray

FEWEST = 30
"""Training rows, at least: fewer do not tell whether questions tell of answers."""
MOST = 300
PERMUTATIONS = 200
SEED = 0
SIGNIFICANT = 0.01
MOSTLY = 0.5
SMALL = 0.1
"""A correlation that is smaller is none (Cohen's small effect)."""
SMALL_SHARE = 0.56
"""The same as the share of pairs in which the own prompt is the more similar one (0.5 is chance)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Association:
    """A permutation test: ``effect`` is what stands out from chance, ``p`` how often chance gives as much."""

    name: str
    effect: float
    p: float
    small: float

    @property
    def found(self) -> bool:
        return self.p <= SIGNIFICANT and self.effect >= self.small


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """``rows`` training rows were tested. ``unseen`` is the share of validation answers that no training row has;
    ``short`` the share of training answers short enough for a fact.
    """

    rows: int
    unseen: float
    short: float
    from_prompt: Association | None
    inferable: tuple[Association, ...]

    @property
    def shown(self) -> bool:
        """All the evidence that data can give; that the model does not know the answers is for its scores to say."""
        return (
            self.from_prompt is not None
            and self.unseen > MOSTLY
            and self.short > MOSTLY
            and not self.from_prompt.found
            and not any(test.found for test in self.inferable)
        )


def knowledge(
    pool: Sequence[Conversation], asked: Sequence[Conversation], train: Sequence[Conversation] = ()
) -> Knowledge:
    """What the rows say. Of ``pool``, training rows with different questions, the first ``MOST`` are tested; ``train``
    are all, where there are more.
    """
    known = {folded(row.answer) for row in (*pool, *train)}
    rows = pool[:MOST]
    answers = [row.answer for row in rows]
    found = Knowledge(
        rows=len(rows),
        unseen=_share([folded(row.answer) not in known for row in asked]),
        short=_share([len(folded(answer)) <= LONGEST_CLASS for answer in answers]),
        from_prompt=None,
        inferable=(),
    )
    if len(rows) < FEWEST:
        return found
    questions = [normalised(row.prompt) for row in rows]
    tests = [_similar_questions(questions, answers), _letters(questions, answers), _numbers(questions, answers)]
    return Knowledge(
        rows=found.rows,
        unseen=found.unseen,
        short=found.short,
        from_prompt=_from_prompt(questions, answers),
        inferable=tuple(test for test in tests if test is not None),
    )


def _share(those: Sequence[bool]) -> float:
    return sum(those) / len(those) if those else 0.0


def _tested(
    name: str, small: float, n: int, statistic: Callable[[Any], float], chance: float | None = None
) -> Association:
    """``statistic`` of the answers in a given order; what chance gives is the mean over orders unless it is known."""
    import numpy as np

    draw = np.random.default_rng(SEED)
    real = statistic(np.arange(n))
    dealt = [statistic(draw.permutation(n)) for _ in range(PERMUTATIONS)]
    as_much = sum(value >= real for value in dealt)
    base = float(np.mean(dealt)) if chance is None else chance
    return Association(name=name, effect=real - base, p=(1 + as_much) / (1 + PERMUTATIONS), small=small)


def _from_prompt(questions: Sequence[str], answers: Sequence[str]) -> Association:
    """How often an answer is more like its own question than like another's (the area under the ROC curve)."""
    import numpy as np

    near = cosines(answers, questions)
    ordered = np.sort(near, axis=1)
    below = np.array([np.searchsorted(line, values, "left") for line, values in zip(ordered, near, strict=True)])
    upto = np.array([np.searchsorted(line, values, "right") for line, values in zip(ordered, near, strict=True)])
    n = len(questions)
    share = (below + upto - 1) / 2 / (n - 1)  # of the others, a tie counting half
    return _tested("answers are like their own prompt", SMALL_SHARE, n, lambda order: float(
        share[order, np.arange(n)].mean()
    ), chance=0.0)  # fmt: skip


def _similar_questions(questions: Sequence[str], answers: Sequence[str]) -> Association:
    """Mantel's test: do similar questions have similar answers? The effect is a correlation over pairs of rows."""
    import numpy as np

    name, n = "similar questions have similar answers", len(questions)
    asked, said = _over_pairs(cosines(questions, questions)), _over_pairs(cosines(answers, answers))
    if not asked.any() or not said.any():
        return Association(name=name, effect=0.0, p=1.0, small=SMALL)
    return _tested(name, SMALL, n, lambda order: float((asked * said[np.ix_(order, order)]).sum()) / (n * (n - 1)))


def _over_pairs(near: NDArray[Any]) -> NDArray[Any]:
    """``float64[n, n]``, symmetric, standardised over the pairs of different rows; 0 of a row with itself."""
    import numpy as np

    upper = np.triu_indices(len(near), 1)
    found = np.zeros_like(near)
    found[upper] = _standard(near[upper])
    both: NDArray[Any] = found + found.T
    return both


def _letters(questions: Sequence[str], answers: Sequence[str]) -> Association:
    """Does a character of the answer come with one of the question, as in a cipher? The effect is the mean, over the
    answers' characters, of the strongest correlation with a character of the question.
    """
    import numpy as np

    name = "characters of the answer come with characters of the question"
    n = len(questions)
    asked, said = _presence(questions), _presence([folded(answer) for answer in answers])
    if not asked.size or not said.size:
        return Association(name=name, effect=0.0, p=1.0, small=SMALL)
    return _tested(name, SMALL, n, lambda order: float(np.abs(asked.T @ said[order] / n).max(axis=0).mean()))


def _numbers(questions: Sequence[str], answers: Sequence[str]) -> Association | None:
    """Where answers are numbers: does one of the question's numbers rise or fall with it? The effect is the strongest
    rank correlation.
    """
    import numpy as np

    told = [[float(found) for found in re.findall(r"\d+(?:\.\d+)?", question)] for question in questions]
    said = [re.fullmatch(r"[^\d]{0,4}(\d+(?:\.\d+)?)[^\d]{0,4}", answer.strip().replace(",", "")) for answer in answers]
    count = min(map(len, told))
    if not count or not all(said):
        return None
    columns = np.stack([_standard(_ranks(np.array([row[i] for row in told]))) for i in range(count)])
    values = _standard(_ranks(np.array([float(found[1]) for found in said if found])))
    n = len(values)
    return _tested("numbers of the answer go with numbers of the question", SMALL, n, lambda order: float(
        np.abs(columns @ values[order] / n).max()
    ))  # fmt: skip


def _ranks(values: NDArray[Any]) -> NDArray[Any]:
    """The mean rank of equal values."""
    import numpy as np

    ordered = np.sort(values)
    return (np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")) / 2


def _standard(values: NDArray[Any]) -> NDArray[Any]:
    """Mean 0 and deviation 1; zeros where there is none."""
    import numpy as np

    deviation = values.std()
    standard: NDArray[Any] = (values - values.mean()) / deviation if deviation else np.zeros_like(values)
    return standard


def _presence(texts: Sequence[str]) -> NDArray[Any]:
    """Standardised ``float64[texts, characters]``, of the characters that some texts have and some lack."""
    import numpy as np

    marks = sorted({mark for text in texts for mark in text if not mark.isspace()})
    columns = [_standard(np.array([mark in text for text in texts], dtype=float)) for mark in marks]
    telling = [column for column in columns if column.any()]
    return np.stack(telling, axis=1) if telling else np.zeros((len(texts), 0))
