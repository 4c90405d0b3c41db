"""Digests of what a plan depends on: the model's files, the template, graftlm's own code."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from graftlm.contracts.conversation import Conversation, Message, RenderOptions
from graftlm.contracts.errors import DataError
from graftlm.contracts.model import ModelDescription
from graftlm.contracts.serial import digest, file_digest
from graftlm.contracts.specs import PromptTemplate
from graftlm_registry.home import home, keep

LARGE = 64_000_000
"""Bytes from which a file's digest is worth keeping."""
SMALL_FILES = ("config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
CORPUS = tuple(
    Conversation(tuple(Message(role, words) for role, words in turns))  # type: ignore[arg-type]
    for turns in (
        [("user", "One?")],
        [("user", "One?"), ("assistant", "1")],
        [("system", "Count."), ("user", "One?"), ("assistant", "1"), ("user", "Two?"), ("assistant", "2\n\n")],
        [("user", "One?"), ("assistant", "<think>\nhm\n</think>\n\n1"), ("user", "  Two?\n\nThree?")],
    )
)


def template_hash(template: PromptTemplate) -> str:
    """Of the spans that a fixed corpus is rendered into, in all its modes; a refusal is a rendering too."""
    modes = [(prompt, thinking) for prompt in (False, True) for thinking in {False, template.thinking}]
    spans = [_rendered(template, conversation, *mode) for conversation in CORPUS for mode in sorted(modes)]
    return digest([spans, template.stop_tokens, template.document_start, template.document_end])[:16]


def _rendered(template: PromptTemplate, conversation: Conversation, prompt: bool, thinking: bool) -> Any:
    try:
        return template.render(conversation, RenderOptions(generation_prompt=prompt, thinking=thinking))
    except DataError as refusal:
        return str(refusal)


def model_digest(model: ModelDescription) -> str:
    """Of the small files and the weights; a revision stands for the weights of a model that has one, and drawn weights
    follow from the configuration.
    """
    small = {name: file_digest(model.folder / name) for name in SMALL_FILES if (model.folder / name).is_file()}
    weights = {}
    if not model.revision and model.weights == "files":
        weights = {path.name: known_digest(path) for path in sorted(model.folder.glob("*.safetensors"))}
    return digest([model.model_type, model.revision, small, weights])[:16]


def known_digest(path: Path) -> str:
    """A file's digest, kept under what tells that the file has not changed: gigabytes are read once."""
    facts = path.stat()
    key = digest([str(path.resolve()), facts.st_size, facts.st_mtime_ns, facts.st_ino])
    kept = home() / "cache" / "digests" / key
    if facts.st_size > LARGE and kept.is_file():
        return kept.read_text(encoding="ascii")
    found = file_digest(path)
    if facts.st_size > LARGE:
        keep(kept, found.encode())
    return found


@lru_cache(maxsize=1)
def code_digest() -> str:
    """Of graftlm's own sources."""
    whole = hashlib.sha256()
    for package in ("graftlm", "graftlm_plugins", "graftlm_registry"):
        root = Path(str(files(package)))
        for path in sorted(root.rglob("*.py")):
            whole.update(f"{package}/{path.relative_to(root)}\0".encode() + path.read_bytes())
    return whole.hexdigest()[:16]
