"""Encode a file of rows: one process for each core, each with a stretch of the file."""

from __future__ import annotations

import multiprocessing
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import NoReturn

from graftlm.contracts.conversation import Conversation
from graftlm.contracts.errors import GraftlmError, RunError, named_error, public_name
from graftlm.contracts.outcome import EncodingCounts
from graftlm.contracts.plan import EncodingPlan
from graftlm.contracts.specs import PromptTemplate
from graftlm.data.rows import read_row

from .rows import PartWriter
from .samples import SampleMaker
from .tokenizing import IGNORED, SpanTokenizer

COMPARED = 1000
"""Rows, the first ones, whose ids are compared with those of one-piece tokenization."""
WORTHWHILE = 4_000_000
"""Bytes of rows from which another process pays for its start."""
EVERY = 500
"""Rows between two reports."""

Report = Callable[[int], None]
"""Takes the number of rows that are done; raises to stop."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """All that the encoding of a file needs."""

    template: PromptTemplate
    tokenizer: SpanTokenizer
    plan: EncodingPlan


def encode_file(source: Path, target: Path, encoding: Encoding, report: Report) -> EncodingCounts:
    """Encode a file of rows into ``target``."""
    size = source.stat().st_size
    parts = _parts(source, max(1, min(_cores(), size // WORTHWHILE)))
    stems = [target.with_name(f"{target.stem}.{i}") for i in range(len(parts))]
    if len(parts) == 1:
        counts = [_encode_part(source, *parts[0], stems[0], encoding, report)]
    else:
        counts = _side_by_side(source, parts, stems, encoding, report)
    first_rows = [sum(c.rows for c in counts[:i]) for i in range(len(counts))]
    whole = sum(counts, EncodingCounts())
    PartWriter.join(stems, first_rows, target)
    return whole


def _cores() -> int:
    if sys.platform == "darwin":  # forking is not safe there
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _parts(source: Path, count: int) -> list[tuple[int, int]]:
    """Stretches of bytes that begin and end with a line."""
    size = source.stat().st_size
    places = [0]
    with source.open("rb") as file:
        for i in range(1, count):
            file.seek(max(places[-1], size * i // count))
            file.readline()
            places.append(file.tell())
    return [(begin, end) for begin, end in zip(places, [*places[1:], size], strict=True) if begin < end] or [(0, 0)]


def _rows(source: Path, begin: int, end: int) -> Iterator[Conversation]:
    with source.open("rb") as file:
        file.seek(begin)
        while file.tell() < end:
            yield read_row(file.readline())


def _encode_part(source: Path, begin: int, end: int, stem: Path, encoding: Encoding, report: Report) -> EncodingCounts:
    maker = SampleMaker(encoding.template, encoding.tokenizer, encoding.plan)
    rows = used = samples = too_long = truncated = nothing = tokens = trained = compared = differing = 0
    with PartWriter(stem) as writer:
        for conversation in _rows(source, begin, end):
            made = maker.samples(conversation)
            for sample in made.samples:
                writer.add(sample, rows)
                tokens += len(sample.ids)
                trained += len(sample.labels) - sample.labels.count(IGNORED)
            rows += 1
            samples += len(made.samples)
            used += bool(made.samples)
            dropped = made.cut and encoding.plan.overlong == "drop"
            too_long += dropped
            truncated += made.cut and bool(made.samples)
            nothing += not made.samples and not dropped
            if begin == 0 and rows <= COMPARED:
                compared += 1
                differing += maker.differs_in_one_piece(conversation)
            if rows % EVERY == 0:
                report(rows)
    return EncodingCounts(
        rows=rows, used=used, samples=samples, too_long=too_long, truncated=truncated, nothing_trained=nothing,
        tokens=tokens, trained_tokens=trained, compared=compared, differing=differing,
    )  # fmt: skip


def _side_by_side(
    source: Path, parts: list[tuple[int, int]], stems: list[Path], encoding: Encoding, report: Report
) -> list[EncodingCounts]:
    """One forked process a stretch: they share the tokenizer's memory, and the template needs no pickling."""
    context = multiprocessing.get_context("fork")
    children, ends = [], []
    try:
        for (begin, end), stem in zip(parts, stems, strict=True):
            receiver, sender = context.Pipe(duplex=False)
            child = context.Process(
                target=_child,
                args=(sender, source, begin, end, stem, encoding),
                daemon=True,
                name=f"encode {stem.name}",
            )
            child.start()
            sender.close()
            children.append(child)
            ends.append(receiver)
        return _listen(ends, report)
    finally:
        for child in children:
            child.kill()
            child.join()


def _child(sender: Connection, source: Path, begin: int, end: int, stem: Path, encoding: Encoding) -> None:
    parent = os.getppid()

    def report(rows: int) -> None:
        if os.getppid() != parent:
            os._exit(1)
        sender.send(rows)

    try:
        sender.send(_encode_part(source, begin, end, stem, encoding, report))
    except BaseException as error:  # noqa: BLE001 - the parent raises it again
        if not isinstance(error, GraftlmError):
            traceback.print_exc()
        sender.send(_told(error))


def _told(error: BaseException) -> tuple[str, str]:
    """An error in words that pass a pipe, whatever its class takes."""
    return public_name(error), str(error)


def _raise(kind: str, words: str) -> NoReturn:
    raise named_error(kind, words) or RunError(f"encoding the data failed: {kind}: {words}")


def _listen(ends: list[Connection], report: Report) -> list[EncodingCounts]:
    done = dict.fromkeys(ends, 0)
    finished: dict[Connection, EncodingCounts] = {}
    while len(finished) < len(ends):
        for end in wait([e for e in ends if e not in finished], timeout=0.5):
            assert isinstance(end, Connection)
            try:
                said = end.recv()
            except EOFError:
                raise RunError("a process that encoded the data died, perhaps out of memory") from None
            if isinstance(said, tuple):
                _raise(*said)
            if isinstance(said, EncodingCounts):
                finished[end] = said
                done[end] = said.rows
            else:
                done[end] = said
        report(sum(done.values()))
    return [finished[end] for end in ends]
