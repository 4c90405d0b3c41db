"""A LLaMA-Factory training file as a run file of graftlm's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from graftlm.api import UsageError

from .data import read_data
from .imported import Imported, Keys
from .model import read_method, read_model
from .training import read_training
from .without import reason


def read_run(path: Path) -> dict[str, Any]:
    """The keys of a YAML or JSON file; ``UsageError`` where it is none."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict) or not content:
        raise UsageError(f"{path} must hold keys and values, such as 'model_name_or_path: MODEL'")
    return {str(key): value for key, value in content.items()}


def convert(content: Mapping[str, Any], run: Path, dataset_info: Path | None, out: Path) -> Imported:
    """``content`` as graftlm's settings. ``run`` is where it is from, ``out`` where the result will be."""
    result = Imported()
    keys = Keys(content, result)
    read_model(keys)
    read_method(keys)
    read_training(keys)
    read_data(keys, run, dataset_info, out)
    stage = keys.text("stage", "sft")
    if stage == "sft":
        keys.take("stage", "what graftlm train does")
    elif stage == "pt":
        result.settings.update({"format": "text", "train-on": "all"})
        keys.take("stage", "format text and train-on all: continued pre-training")
        result.remarks.append("stage pt: LLaMA-Factory joins texts to rows of one length, graftlm keeps them apart")
    else:
        keys.leave("stage", f"graftlm trains on answers (sft) and texts (pt), and has no {stage}: this run is another")
    if keys.true("do_train", True):
        keys.take("do_train", "what graftlm train does")
    for key, value in content.items():
        if key not in result.taken and key not in result.left:
            result.left[key] = "it is null, and says nothing" if value is None else reason(key)
    return result


def write_run(result: Imported, run: Path) -> str:
    """The file that graftlm reads, as text, with what was left out at its end."""
    lines = [
        f"# From {_one_line(run.name)}, a run of LLaMA-Factory's, by 'graftlm config import-llamafactory'.",
        yaml.safe_dump(result.settings, sort_keys=False, allow_unicode=True).rstrip(),
        *(["", "# Without a counterpart:"] if result.left else []),
        *(f"#   {_one_line(key)}: {_one_line(why)}" for key, why in result.left.items()),
    ]
    return "\n".join(lines) + "\n"


def _one_line(words: str) -> str:
    """A comment ends with its line, of which YAML knows several kinds, and holds no control characters."""
    return "".join(c if c.isprintable() else " " for c in words)
