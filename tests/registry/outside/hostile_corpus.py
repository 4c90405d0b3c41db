"""All hostile cases, and what must be true of each: one sentence, and no trace."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import corpus_archives
import corpus_configs
import corpus_folders
import corpus_tensors
from good_adapter import EVIL, Case

from graftlm.contracts.errors import GraftlmError
from graftlm_registry.adapters.outside.taking_in import take_in

TENSORS = tuple(corpus_tensors.CASES)
CONFIGS = tuple(corpus_configs.CASES)
ARCHIVES = tuple(corpus_archives.CASES) + tuple(corpus_folders.CASES)
CORPUS: tuple[Case, ...] = TENSORS + CONFIGS + ARCHIVES


def lay_trap(place: Path) -> Path:
    """A module that can be imported, and leaves a canary when it is; where the canary would be."""
    folder = place / "importable"
    folder.mkdir()
    canary = place / corpus_folders.CANARY
    (folder / f"{EVIL}.py").write_text(f"open({str(canary)!r}, 'w').close()\n")
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    return canary


def refused(case: Case, place: Path) -> str:
    """The sentence that the case is refused with; an ``AssertionError`` where anything else happened."""
    place.mkdir()
    source, staged = case.build(place / "given"), place / "staged"
    staged.mkdir()
    before = sorted(place.rglob("*"))
    try:
        taken = take_in(source, staged)
    except GraftlmError as error:
        sentence = str(error)
    else:
        raise AssertionError(f"{case.name}: taken in as {taken}")
    assert re.search(case.says, sentence), f"{case.name}: {sentence}"
    assert sentence.isprintable(), f"{case.name}: {sentence!r}"
    assert len(sentence) < 1500, f"{case.name}: {sentence}"
    assert sorted(place.rglob("*")) == before, f"{case.name}: files were made"
    assert not list(place.rglob(corpus_folders.CANARY)), f"{case.name}: its code ran"
    return sentence
