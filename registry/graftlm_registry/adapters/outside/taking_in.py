"""The one way in for an adapter from outside: a folder or an archive becomes two checked files."""

from __future__ import annotations

import builtins
import json
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graftlm.contracts.errors import StoreError

from . import archives, folder
from .adapter_config import check_config, check_rank, known
from .chat_template_text import template_text
from .collecting import CONFIG, PICKLES, RECORD, Collected
from .module_patterns import module_paths, without_patterns
from .safetensors_file import Header, shortened
from .strict_json import read_object
from .tensor_values import check_adapter_tensors

MOST_TOLD = 5


@dataclass(frozen=True)
class TakenIn:
    """What was taken in.

    ``config`` is the cleaned configuration, ``given`` the file that it came from. ``base`` is the base model by the
    adapter's own word ("": none). ``tensors`` and ``bytes`` are of the weights. ``record`` is a ``graftlm.json`` that
    lay there, not read. ``chat_template`` is text that was not rendered. ``notes`` say what was changed or left aside.
    """

    config: Mapping[str, Any]
    given: builtins.bytes
    peft_type: str
    base: str
    tensors: int
    bytes: int
    record: builtins.bytes | None
    chat_template: str | None
    notes: tuple[str, ...]


def take_in(source: Path, staged: Path) -> TakenIn:
    """Write ``adapter_config.json`` and ``adapter_model.safetensors`` into the empty folder ``staged``.

    ``StoreError`` where the folder or the archive ``source`` holds anything else than one sound adapter; ``staged``
    is then as it was.
    """
    if any(staged.iterdir()):
        raise StoreError(f"{staged} is not empty, and an adapter goes into a folder of its own")
    collected = Collected(staged)
    try:
        _collect(source, collected)
        return _checked(collected, staged)
    except StoreError as error:
        _empty(collected, staged)
        raise StoreError(f"{_called(source)} cannot be taken in: {error}") from None
    except OSError as error:
        _empty(collected, staged)
        raise StoreError(f"{_called(source)} cannot be taken in: {error.strerror or error}") from None
    except BaseException:
        _empty(collected, staged)
        raise


def _collect(source: Path, collected: Collected) -> None:
    try:
        kind = source.stat().st_mode
    except (ValueError, OSError):
        raise StoreError("there is no such folder or file") from None
    if stat.S_ISDIR(kind):
        descriptor = os.open(source, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            folder.collect(descriptor, collected)
        finally:
            os.close(descriptor)
    else:
        with folder.opened(str(source)) as (file, _):
            archives.collect(file, source.name, collected)


def _checked(collected: Collected, staged: Path) -> TakenIn:
    given = read_object(collected.files[CONFIG], CONFIG)
    config, notes = check_config(given)
    header = check_adapter_tensors(collected.weights)
    kind = config["peft_type"]
    config, changed = without_patterns(config, kind, module_paths(header.tensors, known()["kinds"][kind]["prefix"]))
    check_rank(config, header)
    text = json.dumps(config, indent=2, sort_keys=True, ensure_ascii=False)
    with (staged / CONFIG).open("x", encoding="utf-8") as file:
        file.write(text + "\n")
    return TakenIn(
        config=config,
        given=collected.files[CONFIG],
        peft_type=kind,
        base=given.get("base_model_name_or_path") or "",
        tensors=len(header.tensors),
        bytes=_bytes(header),
        record=collected.files.get(RECORD),
        chat_template=template_text(collected.files),
        notes=(*notes, *changed, *_left_aside(collected.left)),
    )


def _bytes(header: Header) -> int:
    return sum(tensor.end - tensor.begin for tensor in header.tensors.values())


def _left_aside(names: Sequence[str]) -> list[str]:
    """Files that were not looked into."""
    pickles = sorted(name for name in names if name.lower().endswith(PICKLES))
    others = sorted(set(names) - set(pickles))
    notes = [f"left aside, and never opened, since a pickle can run code: {_listed(pickles)}"] if pickles else []
    return notes + ([f"left aside: {_listed(others)}"] if others else [])


def _listed(names: Sequence[str]) -> str:
    told = [name if name.isascii() and name.isprintable() and len(name) <= 80 else shortened(name) for name in names]
    return ", ".join(told[:MOST_TOLD]) + (f" and {len(told) - MOST_TOLD} more" if len(told) > MOST_TOLD else "")


def _called(source: Path) -> str:
    name = str(source)
    return name if name.isprintable() else ascii(name)


def _empty(collected: Collected, staged: Path) -> None:
    """As it was. What may lie there is known by name."""
    for path in (collected.weights, staged / CONFIG):
        path.unlink(missing_ok=True)
