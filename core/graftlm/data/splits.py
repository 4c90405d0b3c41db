"""The splits of a run: first counted and digested for the plan, later written for the worker."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from graftlm.contracts.conversation import Conversation
from graftlm.contracts.errors import DataError
from graftlm.contracts.plan import Split
from graftlm.contracts.specs import DataFormat

from .conversations import detect, read_conversations, write_row
from .splitting import RunningDigest, SplitName, membership, normalised

NAMES: tuple[SplitName, ...] = ("train", "validation", "test")


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitRequest:
    """Which files, and which shares of ``data``."""

    data: Path
    val_data: Path | None
    test_data: Path | None
    val_split: float
    test_split: float


def effective_shares(request: SplitRequest) -> tuple[float, float]:
    """Shares of DATA for validation and test: none where a file of its own is given."""
    return (0.0 if request.val_data else request.val_split), (0.0 if request.test_data else request.test_split)


def _rows(request: SplitRequest, data_format: DataFormat) -> Iterator[tuple[SplitName, Conversation]]:
    val, test = effective_shares(request)
    for conversation in read_conversations(request.data, data_format):
        yield membership(conversation, val, test), conversation
    given: tuple[tuple[SplitName, Path | None], ...] = (("validation", request.val_data), ("test", request.test_data))
    for name, path in given:
        if path is not None:
            for conversation in read_conversations(path, data_format):
                yield name, conversation


def survey(
    request: SplitRequest, chosen: DataFormat | None, formats: Sequence[DataFormat]
) -> tuple[DataFormat, tuple[Split, ...]]:
    """The format and the splits; ``DataError`` where there is nothing to train on, or test rows are trained on."""
    data_format = chosen or detect(request.data, formats)
    found = {name: RunningDigest() for name in NAMES}
    trained: set[int] = set()
    leaked: list[str] = []
    for name, conversation in _rows(request, data_format):
        found[name].add(_line(conversation))
        question = hash(normalised(conversation))
        if name == "train":
            trained.add(question)
        elif question in trained:
            leaked.append(f"{conversation.source} ({name})")
    if not found["train"].rows:
        what = "has no records" if not any(d.rows for d in found.values()) else "leaves no rows to train on"
        raise DataError(f"{request.data} {what}")
    for name, path in (("validation", request.val_data), ("test", request.test_data)):
        if path is not None and not found[name].rows:
            raise DataError(f"{path} has no records")
    if leaked:
        raise DataError(
            f"{len(leaked)} rows that are kept for validation or test are trained on too, the first at {leaked[0]}: "
            "remove them from one side"
        )
    paths = {
        "train": request.data,
        "validation": request.val_data or request.data,
        "test": request.test_data or request.data,
    }
    splits = (Split(name=n, path=str(paths[n].resolve()), rows=d.rows, digest=d.digest) for n, d in found.items())
    return data_format, tuple(split for split in splits if split.rows)


def write_splits(request: SplitRequest, data_format: DataFormat, planned: Sequence[Split], folder: Path) -> None:
    """Write each split as ``NAME.jsonl``; ``DataError`` where the files changed since the plan."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {name: RunningDigest() for name in NAMES}
    with ExitStack() as stack:
        files = {n: stack.enter_context((folder / f"{n}.jsonl").open("w", encoding="utf-8")) for n in NAMES}
        for name, conversation in _rows(request, data_format):
            found[name].add(_line(conversation))
            files[name].write(write_row(conversation))
    if {n: d.digest for n, d in found.items() if d.rows} != {split.name: split.digest for split in planned}:
        raise DataError(f"{request.data} changed while the run was being prepared: start again")


def _line(conversation: Conversation) -> str:
    """A row's content, without its place: moving a row to another line or file changes nothing."""
    return json.dumps([[m.role, m.content, m.train] for m in conversation.messages], ensure_ascii=False)
