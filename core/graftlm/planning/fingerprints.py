"""Digests of what a plan depends on: the model's files, the template, graftlm's own code."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from graftlm.contracts.conversation import Conversation, Message, RenderOptions
from graftlm.contracts.errors import DataError
from graftlm.contracts.model import ModelDescription
from graftlm.contracts.serial import digest, file_digest
from graftlm.contracts.spec import Spec
from graftlm.contracts.specs import Evaluator, PromptTemplate
from graftlm.source import OWN
from graftlm_registry.home import home, keep
from graftlm_registry.installed import installed_version

LARGE = 64_000_000
"""Bytes from which a file's digest is worth keeping."""
SMALL_FILES = (
    "config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja",
    "chat_template.json", "additional_chat_templates/tool_use.jinja",
)  # fmt: skip
CORPUS = tuple(
    Conversation(tuple(Message(role, words) for role, words in turns))  # type: ignore[arg-type]
    for turns in (
        [("user", "One?")],
        [("user", "One?"), ("assistant", "1")],
        [("system", "Count."), ("user", "One?"), ("assistant", "1"), ("user", "Two?"), ("assistant", "2\n\n")],
        [("user", "One?"), ("assistant", "<think>\nhm\n</think>\n\n1"), ("user", "  Two?\n\nThree?")],
        [("system", ""), ("user", "One?"), ("assistant", "1")],
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
    small = small_files(model.folder)
    weights = {}
    if not model.revision and model.weights == "files":
        weights = {path.name: known_digest(path) for path in sorted(model.folder.glob("*.safetensors"))}
    return digest([model.model_type, model.revision, small, weights])[:16]


def small_files(folder: Path) -> dict[str, str]:
    """Digests of the files that say how a model's text is made, by name; and of its own code, where it has some."""
    names = [*SMALL_FILES, *sorted(path.name for path in folder.glob("*.py"))]
    return {name: file_digest(folder / name) for name in names if (folder / name).is_file()}


def strangers_code(spec: Spec) -> str:
    """Of the sources of the package that a plugin is in; empty for graftlm's own, which ``code_digest`` covers.

    An author edits a plugin without a new version: what was made by the old code must not be taken for the new one's.
    """
    functions = (getattr(spec, name, None) for name in ("render", "parse", "facts", "accepts"))
    modules = {getattr(function, "__module__", None) or "" for function in functions if callable(function)}
    targets = {str(getattr(spec, "target", "")).partition(":")[0]}
    tops = {module.partition(".")[0] for module in modules | targets} - {"", "functools", "builtins", *OWN}
    whole = hashlib.sha256()
    for top in sorted(tops):
        _hash_sources(whole, top)
    return whole.hexdigest()[:16] if tops else ""


def evaluators_digest(evaluators: Sequence[Evaluator], options: Mapping[str, Any]) -> str:
    """Of what a score depends on beside graftlm's own code: a stranger's, packages, and what options stand for. Empty
    where there is none of it.
    """
    made_of = [
        (
            strangers_code(each),
            [installed_version(requirement.distribution) for requirement in each.requires],
            each.fingerprint(options) if each.fingerprint else "",
        )
        for each in evaluators
    ]
    return digest(made_of)[:16] if any(any(each) for each in made_of) else ""


def _hash_sources(whole: Any, top: str) -> None:
    found = find_spec(top)
    if found is None:
        return
    roots = [Path(place) for place in found.submodule_search_locations or []]
    for path in sorted(p for root in roots for p in root.rglob("*.py")) or [Path(found.origin or "")]:
        if path.is_file():
            whole.update(f"{top}/{path.name}\0".encode() + path.read_bytes())


def known_digest(path: Path) -> str:
    """A file's digest, kept under what tells that the file has not changed: gigabytes are read once."""
    facts = path.stat()
    key = digest([str(path.resolve()), facts.st_size, facts.st_mtime_ns, facts.st_ino])
    kept = home() / "cache" / "digests" / key
    if facts.st_size > LARGE and kept.is_file() and len(known := kept.read_text(encoding="ascii")) == 64:
        return known
    found = file_digest(path)
    if facts.st_size > LARGE:
        keep(kept, found.encode())
    return found
