"""``adapters export --as ollama``: the adapter's files, and a Modelfile that puts them onto a base of Ollama's.

The weights are converted by llama.cpp's ``convert_lora_to_gguf.py``, which knows how each architecture lies in GGUF;
the Modelfile takes what it writes. (Ollama's own conversion of PEFT folders covers few architectures, and its newer
releases do not look for ``adapter_model.safetensors``.) What GGUF cannot say of an adapter is refused, with the way
that works: a whole model.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from graftlm.chat_templates.binding import bound
from graftlm.chat_templates.own import OwnTemplate
from graftlm.contracts.errors import StoreError, UsageError
from graftlm.contracts.record import AdapterRecord
from graftlm.contracts.specs import PromptTemplate
from graftlm.planning import base_model
from graftlm_registry.adapters import AdapterStore
from graftlm_registry.adapters.content import content_digest, content_files
from graftlm_registry.plugins import Registry

from .licence import hub_id
from .model_card import model_card
from .ollama_template import ollama_template
from .portable import CARD, CONFIG, OWN_TEMPLATE, card_of

MODELFILE, GGUF = "Modelfile", "adapter.gguf"
NAME = re.compile(r"[A-Za-z0-9._/~][A-Za-z0-9._/:@~-]*")
PLAIN: Mapping[str, tuple[Any, ...]] = {
    "peft_type": ("LORA",), "bias": ("none", None), "use_dora": (False, None), "use_rslora": (False, None),
    "lora_bias": (False, None), "alpha_pattern": ({}, None), "modules_to_save": ([], None),
    "target_parameters": ([], None), "trainable_token_indices": ([], {}, None), "layer_replication": ([], None),
    "fan_in_fan_out": (False, None),
}  # fmt: skip
"""Of an adapter's configuration, what GGUF can say as well: A and B of each layer, and one alpha for all."""


def write_ollama(
    record: AdapterRecord,
    store: AdapterStore,
    folder: Path,
    registry: Registry,
    base: str,
    licence: str,
    *,
    with_notes: bool = False,
) -> tuple[str, ...]:
    """Fill an empty folder; what whoever uses it must know. ``UsageError`` where Ollama would answer otherwise."""
    whole = f"for a whole model, which llama.cpp converts: graftlm adapters merge {record.reference} --out DIR"
    if record.load.rope is not None:
        raise UsageError(
            f"{record.reference} needs RoPE scaling ({record.load.rope}), which Ollama does not do; {whole}"
        )
    files = store.path(record.reference)
    if content_digest(files) != record.digest:
        raise StoreError(f"the files of {record.reference} in {files} are not those that were published")
    config = json.loads((files / CONFIG).read_text(encoding="utf-8"))
    for key, values in PLAIN.items():
        if config.get(key, values[-1]) not in values:
            raise UsageError(f"GGUF knows plain LoRA alone, and {record.reference} has {key} {config[key]}; {whole}")
    if not base:
        raise UsageError(
            f"say what Ollama calls {record.base.name} with --ollama-base, such as mistral:7b or base.gguf"
        )
    if not NAME.fullmatch(base):
        raise UsageError(f"--ollama-base {base!r} is no name of a model, and no plain path")
    template, found = _template(record, registry)
    if found is None:
        raise UsageError(f"no TEMPLATE of Ollama writes what the template {record.template} writes; {whole}")
    stops = tuple(dict.fromkeys(token for token in (*template.stop_tokens, template.end_token) if token))
    unsaid = [stop for stop in stops if '"' in stop or not stop.isprintable()]
    if unsaid:
        raise UsageError(
            f"a Modelfile cannot say the stop token {unsaid[0]!r} of the template {record.template}; {whole}"
        )
    for path in content_files(files):
        shutil.copyfile(path, folder / path.name)
    said = {**config, "base_model_name_or_path": record.load.name}
    text = json.dumps(said, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    (folder / CONFIG).write_text(text, encoding="utf-8")
    (folder / MODELFILE).write_text(_modelfile(record, base, found[0], stops), encoding="utf-8")
    (folder / CARD).write_text(
        model_card(card_of(record, store, registry, licence, notes=with_notes)), encoding="utf-8"
    )
    return _notes(record, found[1])


def _template(record: AdapterRecord, registry: Registry) -> tuple[PromptTemplate, tuple[str, str] | None]:
    """The prompt template, and what Ollama calls one."""
    template = registry.get(PromptTemplate, record.template)
    if record.template != OWN_TEMPLATE:
        return template, ollama_template(template, thinking=record.thinking)
    description = base_model.describe(base_model.request(record.base.reference, record.base.revision), registry)[1]
    with OwnTemplate.from_folder(description.folder, description.name) as own:
        template = bound(template, own)
        return template, ollama_template(template, thinking=record.thinking)


def _modelfile(record: AdapterRecord, base: str, template: str, stops: tuple[str, ...]) -> str:
    lines = [
        "# In this folder, with llama.cpp's converter:",
        f"#   {_conversion(record)}",
        f"#   ollama create {record.name} -f {MODELFILE}",
        f"FROM {base}",
        f"ADAPTER ./{GGUF}",
        f'TEMPLATE """{template}"""',
    ]
    lines += [f'PARAMETER stop "{stop}"' for stop in stops]
    return "\n".join(lines) + "\n"


def _conversion(record: AdapterRecord) -> str:
    """Only the configuration of the base is read, no weights."""
    hub = hub_id(record.base)
    base = f"--base-model-id {hub}" if hub else "--base FOLDER_OF_THE_BASE"
    return f"python convert_lora_to_gguf.py {base} --outfile {GGUF} ."


def _notes(record: AdapterRecord, start: str) -> tuple[str, ...]:
    first = (
        f"Ollama writes {start} itself, so that it is not in the TEMPLATE"
        if start
        else "the TEMPLATE has no first token: where Ollama's base adds one, its answers may differ"
    )
    on = "" if record.quantization == "none" else f", and it was trained on {record.quantization} weights"
    return (
        "next, in that folder (convert_lora_to_gguf.py is llama.cpp's):",
        f"  {_conversion(record)}",
        f"  ollama create {record.name} -f {MODELFILE}",
        f"the base in Ollama must be {record.base.name} itself{on}",
        first,
    )
