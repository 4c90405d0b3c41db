"""A gap as people read it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .tables import table
from .terminal import visible

if TYPE_CHECKING:
    from graftlm.judging.gaps.answered import AnsweredRow
    from graftlm.judging.gaps.breakdown import Breakdown, Group
    from graftlm.judging.gaps.confusion import Confusion
    from graftlm.judging.gaps.gap import Gap
    from graftlm.judging.gaps.pool import Pool, Suggested

SHOWN = 12
"""Groups of a breakdown, and classes of a whole matrix."""
PAIRS = 15
SUGGESTED = 5
PROMPT, ANSWER = 160, 80
"""Characters of an example."""
WIDTH = 100


def gap_text(gap: Gap, examples: int) -> str:
    """Everything but the suggestions."""
    from graftlm.judging.gaps.kinds import MEANINGS

    meanings: Mapping[str, str] = {str(kind): words for kind, words in MEANINGS.items()}
    every = gap.every
    asked = f"{every.n} validation rows"
    if every.n < gap.validation_rows:
        asked = f"{every.n} of {gap.validation_rows} validation rows"
    parts = [
        f"{visible(gap.subject)} on {visible(gap.data)}: {every.wrong} of {asked} are wrong, {_share(every)}",
        f"a row is wrong where {gap.rule.words}",
    ]
    if gap.kinds:
        rows = [(kind.name, str(kind.wrong), _share(kind), meanings[kind.name]) for kind in gap.kinds]
        parts += ["", table(rows, ("kind of error", "rows", "of all rows (95%)", "what it means"))]
        for part in gap.parts if every.wrong < every.n else ():
            parts += ["", breakdown_table(part)]
        if gap.confusion is not None and any(pair.said for pair in gap.confusion.pairs):
            parts += ["", confusion_text(gap.confusion)]
        parts += list(_examples(gap, examples)) if examples else []
    parts += ["", *(_filled(sentence) for sentence in gap.conclusion)]
    parts += ["", f"every answer: {gap.folder}"]
    return "\n".join(parts)


def breakdown_table(part: Breakdown) -> str:
    short = _end if part.by == "file" else _short
    rows = [(short(g.name, 40), f"{g.wrong} of {g.n}", _share(g)) for g in part.groups[:SHOWN]]
    text = table(rows, (part.by, "wrong", "share (95%)"))
    more = part.groups[SHOWN:]
    if more:
        wrong, n = sum(g.wrong for g in more), sum(g.n for g in more)
        text += f"\n… and {len(more)} more, {wrong} of {n} wrong (--json has all)"
    return text


def confusion_text(confusion: Confusion) -> str:
    """The whole matrix where it can be read at a glance, and else the pairs that are confused most."""
    if len(confusion.classes) <= SHOWN:
        return _matrix(confusion)
    rows = [
        (_short(pair.wanted, 40), _short(pair.said, 40) or "(no class)", f"{pair.count} of {pair.of}")
        for pair in confusion.pairs[:PAIRS]
    ]
    text = table(rows, ("wanted", "said instead", "rows"))
    more = len(confusion.pairs) - PAIRS
    return text + (f"\n… and {more} more pairs (--json has all)" if more > 0 else "")


def _matrix(confusion: Confusion) -> str:
    """Columns without any row are left out; nothing is written where nothing was said."""
    columns = [i for i in range(len(confusion.classes) + 1) if any(row[i] for row in confusion.counts)]
    names = [*(_short(name, 12) for name in confusion.classes), "(none)"]
    rows = [
        (_short(name, 24), *(str(row[i] or "·").rjust(len(names[i])) for i in columns))
        for name, row in zip(confusion.classes, confusion.counts, strict=True)
        if any(row)
    ]
    return table(rows, ("wanted ↓ said →", *(names[i] for i in columns)))


def _examples(gap: Gap, count: int) -> Iterator[str]:
    for kind in gap.kinds:
        yield f"\n{kind.name}"
        for row in [row for row in gap.rows if row.kind == kind.name][:count]:
            yield from example(row)


def example(row: AnsweredRow) -> list[str]:
    return [
        f"  {visible(row.source)}: {_short(row.prompt, PROMPT)}",
        f"    wanted  {_short(row.wanted, ANSWER)}",
        f"    said    {_short(row.said, ANSWER) or '(nothing)'}",
    ]


def suggestion_text(gap: Gap, pool: Pool, found: Sequence[Suggested], out: Path | None, drawn: Sequence[str]) -> str:
    """``drawn`` as in ``next_text``."""
    advice = _filled(f"next: {next_text(gap.data, drawn)}")
    left_out = [
        f"{count} {what}"
        for count, what in ((pool.in_data, "that DATA asks already"), (pool.repeated, "that stand there twice"))
        if count
    ]
    without = f" (without {' and '.join(left_out)})" if left_out else ""
    lines = [f"{visible(pool.reference)}: {len(found)} of {len(pool.candidates)} rows chosen{without}"]
    if gap.classes:
        lines.append(_filled(f"by class: {_by_class(found)}"))
    if out is not None:
        lines.append(f"written to {visible(str(out))}; its first rows are what a smaller choice would be")
        return "\n".join([*lines, advice])
    rows = [
        (f"{row.need:.2f}", _short(row.wanted, 24), _short(Path(row.source).name, 40), _short(row.prompt, ANSWER))
        for row in found[:SUGGESTED]
    ]
    lines += ["", table(rows, ("need", "answer", "row", "prompt"))]
    return "\n".join([*lines, "", f"--out FILE writes all {len(found)}", advice])


def next_text(data: str, drawn: Sequence[str]) -> str:
    """What is to be done with rows that were chosen. ``drawn`` splits are shares of the training file."""
    add = "add them to the training rows, train again, and ask 'gap' again"
    if not drawn:
        return add
    name = Path(data).name
    return (
        f"{add}. But a share of {name} is kept for {' and '.join(drawn)}, by a hash: rows that are added to it may "
        "land there. 'graftlm data split DATA --out FOLDER', with the same shares, gives files: add them to "
        "FOLDER/train.jsonl, and train on FOLDER"
    )


def _by_class(found: Sequence[Suggested]) -> str:
    from collections import Counter

    counts = Counter(row.label for row in found).most_common()
    named = ", ".join(f"{_short(label, 40)} {count}" for label, count in counts[:SHOWN])
    return named + (f" and {len(counts) - SHOWN} more classes" if len(counts) > SHOWN else "")


def _share(group: Group) -> str:
    return f"{group.share:.0%} ({100 * group.low:.0f}–{100 * group.high:.0f})"


def _short(text: str, most: int) -> str:
    """In one line, safe for a terminal."""
    line = visible(" ".join(text.split()))
    return line if len(line) <= most else f"{line[: most - 1]}…"


def _end(path: str, most: int) -> str:
    """What tells files apart stands at the end of their paths."""
    return visible(path if len(path) <= most else f"…{path[1 - most :]}")


def _filled(sentence: str) -> str:
    return textwrap.fill(visible(sentence), WIDTH)
