"""Prompts from a file: a text with one on each line, or rows of any data format, whose last answers are left out."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from graftlm.contracts.conversation import Conversation, Message
from graftlm.contracts.errors import DataError, UsageError
from graftlm.contracts.specs import DataFormat, Record
from graftlm.data.containers import read_records
from graftlm.data.conversations import Fault, check, detect, strict
from graftlm.data.inputs import DataFile, Inputs, find
from graftlm.data.refusals import refusal
from graftlm.data.standard_input import LABEL
from graftlm_registry.plugins import Registry

PLAIN = frozenset({"prompt", "system"})
"""A row of these alone is a prompt, though nothing could be trained on it."""


def read_prompts(file: str, system: str, registry: Registry) -> tuple[Conversation, ...]:
    """At least one, in order; each says its place as ``file:line``. ``system`` is for those that have no system text.

    Raises ``DataError`` with the places of the rows that cannot be used.
    """
    spool = Path(tempfile.mkdtemp(prefix="graftlm-"))
    try:
        found = tuple(_with_system(row, system) for row in strict(_rows(file, spool, registry)))
    finally:
        shutil.rmtree(spool, ignore_errors=True)
    if not found:
        raise DataError(f"{LABEL if file == '-' else file} has no prompts")
    return found


def _rows(file: str, spool: Path, registry: Registry) -> Iterator[Conversation | Fault]:
    if file == "-":
        if sys.stdin.isatty():
            raise UsageError("'-' reads standard input, which is the terminal: pipe prompts into graftlm")
        text = sys.stdin.buffer.read()
        if text.lstrip()[:1] not in (b"{", b"["):
            return _lines(text, LABEL)
        kept = spool / "stdin.json"
        kept.write_bytes(text)
        inputs = Inputs(file, (DataFile(kept, LABEL),))
    elif Path(file).suffix.lower() == ".txt":
        try:
            return _lines(Path(file).expanduser().read_bytes(), file)
        except OSError as error:
            raise DataError(f"{file} cannot be read: {error.strerror}") from None
    else:
        inputs = find(file, spool=spool)
    return _records(inputs, registry)


def _lines(text: bytes, label: str) -> Iterator[Conversation | Fault]:
    for number, line in enumerate(text.removeprefix(b"\xef\xbb\xbf").splitlines(), 1):
        source = f"{label}:{number}"
        try:
            words = line.decode().strip()
        except UnicodeDecodeError:
            yield Fault(source, "not UTF-8 text")
            continue
        if words:
            yield Conversation((Message("user", words),), source)


def _records(inputs: Inputs, registry: Registry) -> Iterator[Conversation | Fault]:
    found = (each for file in inputs.files for each in read_records(file.path, file.label))
    data_format: DataFormat | None = None
    for record, source in found:
        if isinstance(record, DataError):
            yield Fault(source, str(record))
            continue
        try:
            if record.keys() <= PLAIN and "prompt" in record:
                yield _plain(record, source)
                continue
            data_format = data_format or detect(inputs, tuple(registry.all(DataFormat)), {})
            yield _prompt(record, source, data_format)
        except DataError as error:
            yield Fault(source, str(error).removeprefix(f"{source}: "))


def _plain(record: Record, source: str) -> Conversation:
    texts = {name: record.get(name) or "" for name in ("system", "prompt")}
    for name, text in texts.items():
        if not isinstance(text, str):
            raise DataError(f"'{name}' must be text, not {type(text).__name__}")
    if not texts["prompt"].strip():
        raise DataError("the prompt is empty")
    system = (Message("system", texts["system"]),) if texts["system"] else ()
    conversation = Conversation((*system, Message("user", texts["prompt"])), source)
    _check(conversation)
    return conversation


def _prompt(record: Record, source: str, data_format: DataFormat) -> Conversation:
    if reason := refusal(record):
        raise DataError(reason)
    try:
        parsed = replace(data_format.parse(record), source=source).prompt
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
        raise DataError(f"not a record of format '{data_format.name}': {error!r}") from None
    if parsed.is_document:
        raise DataError("a text without turns asks nothing")
    _check(parsed)
    return parsed


def _check(conversation: Conversation) -> None:
    """As a row with any answer would be."""
    check(replace(conversation, messages=(*conversation.messages, Message("assistant", "."))))


def _with_system(row: Conversation, system: str) -> Conversation:
    if not system:
        return row
    if any(message.role == "system" for message in row.messages):
        raise DataError(f"{row.source}: it has a system text of its own: leave --system out")
    return replace(row, messages=(Message("system", system), *row.messages))
