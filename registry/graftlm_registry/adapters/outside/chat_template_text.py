"""The chat template that lies beside an adapter, as text: nothing of it is rendered here."""

from __future__ import annotations

from collections.abc import Mapping

from graftlm.contracts.errors import StoreError

from .collecting import SMALL, TEMPLATE, TOKENIZER
from .strict_json import read_object


def template_text(files: Mapping[str, bytes]) -> str | None:
    """Of ``chat_template.jinja``, or of the tokenizer's configuration; None where there is none."""
    if TEMPLATE in files:
        try:
            return files[TEMPLATE].decode()
        except UnicodeDecodeError:
            raise StoreError(f"{TEMPLATE} is not text in UTF-8") from None
    if TOKENIZER not in files:
        return None
    found = read_object(files[TOKENIZER], TOKENIZER).get("chat_template")
    if isinstance(found, list):  # several, by name
        named = {
            one["name"]: one.get("template") for one in found if isinstance(one, dict) and _is_text(one.get("name"))
        }
        found = named.get("default")
    if found is not None and not _is_text(found):
        raise StoreError(f"{TOKENIZER} has a chat_template that is not text")
    if found is not None and len(found) > SMALL[TEMPLATE]:
        raise StoreError(f"{TOKENIZER} has a chat_template of more than {SMALL[TEMPLATE]:,} characters")
    return found


def _is_text(value: object) -> bool:
    return isinstance(value, str)
