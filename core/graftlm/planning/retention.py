"""What a run must not forget: a text whose loss is compared, old skills, and unrelated prompts."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from graftlm.contracts.conversation import Conversation
from graftlm.contracts.errors import DataError, StoreError, UsageError
from graftlm.contracts.model import ModelDescription
from graftlm.contracts.plan import RETENTION_SUITE, RETENTION_TEXT, UNRELATED_PROMPTS, Evaluation
from graftlm.contracts.serial import digest, file_digest, from_json, to_json
from graftlm.contracts.specs import DataFormat
from graftlm.data.columns import parse_columns
from graftlm.data.conversations import Reading, detect, read, strict
from graftlm.data.inputs import find
from graftlm.data.rows import read_row, write_row
from graftlm.data.samples import file_word
from graftlm.source import code_digest
from graftlm_registry.home import beside, home, keep_folder
from graftlm_registry.plugins import Registry
from graftlm_registry.retention import retention_prompts, retention_text

from .fingerprints import known_digest, strangers_code
from .settings import Settings

TEXT, PROMPTS, OWN = RETENTION_TEXT, UNRELATED_PROMPTS, RETENTION_SUITE
"""The evaluation by which forgetting is measured, in nats a token; and how questions of a suite are called that name no
capability.
"""
NAMES = "names.json"
"""What the files of a kept suite are called."""
LOSS, TAUGHT = "perplexity", "taught-answers"
"""The evaluators of texts, and of answers to what is not asked for."""


def retention_evaluations(
    settings: Settings, description: ModelDescription, evaluators: tuple[str, ...], registry: Registry
) -> Iterator[Evaluation]:
    """What is scored beside the new skill, before and after. ``UsageError`` where a limit has nothing to hold for."""
    if not settings["retention"]:
        for name in ("max_forgetting", "retention_suite"):
            if settings[name] is not None:
                raise UsageError(f"--{name.replace('_', '-')} needs what --no-retention leaves out: give one of them")
        return
    suites, text = dict(description.suites), description.retention or retention_text()
    if settings["retention_suite"]:
        suites, own = _own_suites(settings, registry)
        text = own or text
    yield _evaluation(TEXT, text, (LOSS,))
    asked = tuple(dict.fromkeys((*evaluators, TAUGHT)))
    for skill, path in suites.items():
        yield _evaluation(skill, path, asked)
    if not suites:
        yield _evaluation(PROMPTS, retention_prompts(), (TAUGHT,))


def _evaluation(name: str, path: Path, evaluators: tuple[str, ...]) -> Evaluation:
    with path.open("rb") as file:
        rows = sum(1 for _ in file)
    return Evaluation(
        name=name, role="old", path=str(path), rows=rows, digest=file_digest(path)[:16], evaluators=evaluators
    )


def _own_suites(settings: Settings, registry: Registry) -> tuple[dict[str, Path], Path | None]:
    """The user's own: questions by capability, and texts; kept as graftlm's rows."""
    reference, offline = settings["retention_suite"], bool(settings["offline"])
    spool = home() / "cache" / "stdin"
    inputs = find(reference, split="test" if reference.startswith("hf:") else "", offline=offline, spool=spool)
    columns = parse_columns("")
    data_format = detect(inputs, list(registry.all(DataFormat)), columns)
    made_of = [[known_digest(file.path) for file in inputs.files], data_format.name, strangers_code(data_format)]
    folder = home() / "cache" / "data" / f"retention-{digest([made_of, code_digest()])[:32]}"
    if not folder.is_dir():
        _write(strict(read(inputs, Reading(data_format, columns))), folder, reference)
    os.utime(folder)  # what was used lately is not swept
    names = from_json((folder / NAMES).read_bytes(), dict[str, str], str(folder / NAMES))
    found = {names[path.stem]: path for path in sorted(folder.glob("*.jsonl"))}
    text = found.pop(TEXT, None)
    return found, text


def _write(rows: Iterator[Conversation], folder: Path, reference: str) -> None:
    """A file for each capability, and one of texts."""
    by_name: dict[str, list[bytes]] = {}
    for row in rows:
        name = TEXT if row.is_document else row.capability or OWN
        by_name.setdefault(name, []).append(write_row(row))
    if not by_name:
        raise DataError(f"{reference} has no records")
    fresh = beside(folder)
    try:
        fresh.mkdir(parents=True)
        for name, lines in by_name.items():
            (fresh / f"{file_word(name)}.jsonl").write_bytes(b"".join(lines))
        (fresh / NAMES).write_bytes(to_json({file_word(name): name for name in by_name}))
        keep_folder(fresh, folder)
    except OSError as error:
        raise StoreError(f"{error.filename or folder} cannot be written: {error.strerror}") from None


def retained_questions(evaluations: Mapping[str, Path]) -> Iterator[tuple[str, Conversation]]:
    """Every row of the suites, with the suite's name."""
    for name, path in evaluations.items():
        with path.open("rb") as file:
            yield from ((name, read_row(line)) for line in file)
