"""Does a model's tokenizer know a template's control tokens?"""

from __future__ import annotations

import json
from pathlib import Path

from graftlm.contracts.errors import ModelError
from graftlm.contracts.specs import PromptTemplate


def missing_tokens(template: PromptTemplate, folder: Path) -> list[str]:
    """What speaks against the template; ``ModelError`` where the folder has no tokenizer that can be read."""
    path = folder / "tokenizer.json"
    try:
        definition = json.loads(path.read_text(encoding="utf-8"))
        known = {token["content"] for token in definition["added_tokens"]}
        lacking = [token for token in template.control_tokens if token not in known]
        if lacking:  # a vocabulary of a hundred thousand entries is looked at only where it must be
            vocabulary = definition["model"]["vocab"]
            known |= set(vocabulary if isinstance(vocabulary, dict) else (entry[0] for entry in vocabulary))
            lacking = [token for token in lacking if token not in known]
    except FileNotFoundError:
        raise ModelError(
            f"no tokenizer.json in {folder}: graftlm needs a fast tokenizer (save one with "
            "AutoTokenizer.from_pretrained(…).save_pretrained(…))"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(f"{path} cannot be read as a tokenizer: {error!r}") from None
    if not lacking:
        return []
    return [f"this model's tokenizer has no {', '.join(lacking)}: leave --template out, or choose another"]
