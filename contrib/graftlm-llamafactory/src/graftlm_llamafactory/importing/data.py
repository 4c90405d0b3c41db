"""The data: names in ``dataset_info.json``, what is read of each, and how graftlm says it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graftlm.api import UsageError

from .formats import said_as
from .imported import Imported, Keys, Settings

FILE = "dataset_info.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A data set as graftlm's settings, with why it cannot be one."""

    data: str = ""
    settings: Settings
    why_not: str = ""


def read_data(keys: Keys, run: Path, given: Path | None, out: Path) -> None:
    """``run`` is the file that is read, ``given`` a dataset_info.json, ``out`` the file that is written, from whose
    folder graftlm reads paths.
    """
    result = keys.result
    info, place = _info(keys, run, given)
    names, held = _names(keys.get("dataset")), _names(keys.get("eval_dataset"))
    why = f"no {FILE} was found: give --dataset-info, or DATA" if info is None else ""
    keys.take("dataset_dir", f"where {FILE} is")
    texts = keys.text("stage") == "pt"
    named = (*names, *held) if info is not None else ()
    found = {name: _found(name, info or {}, place, out, result, texts) for name in named}
    _train(keys, names, found, why)
    if len(held) == 1 and held[0] in found and not found[held[0]].why_not:
        keys.set("val-data", found[held[0]].data, "eval_dataset")
        result.settings.pop("val-split", None)
        if "val_size" in keys:
            keys.leave("val_size", "eval_dataset is there too, and is the validation")
        if [found[n].settings for n in names] != [found[n].settings for n in held]:
            result.remarks.append("val-data is read by the same format, columns and split as the training data")
    else:
        keys.leave("eval_dataset", why or "graftlm takes one file for the validation: give val-data")
    _which_words(keys)


def _train(keys: Keys, names: list[str], found: Mapping[str, Found], why: str) -> None:
    result = keys.result
    if len(names) != 1:
        parts = [found[name].data or name for name in names] if found else [f"{name}.jsonl" for name in names]
        mix = f"graftlm data mix {' '.join(f'{part}=1' for part in parts)} --out mixed.jsonl"
        keys.leave("dataset", why or f"graftlm trains on one: '{mix}', which is then DATA")
    elif names[0] in found and not found[names[0]].why_not:
        keys.set("data", found[names[0]].data, "dataset")
        result.settings.update(found[names[0]].settings)
    else:
        keys.leave("dataset", why or found[names[0]].why_not)
    several = len(names) > 1
    for key in ("mix_strategy", "interleave_probs"):
        keys.leave(key, "give the shares to 'graftlm data mix'" if several else "there is one data set")


def _which_words(keys: Keys) -> None:
    """Which words are trained."""
    last, everything = keys.true("mask_history"), keys.true("train_on_prompt")
    keys.set("train-on", "all" if everything else "last" if last else "assistant", "mask_history", "train_on_prompt")
    if everything and last:
        keys.leave("mask_history", "train_on_prompt is there too, and is taken")


def _info(keys: Keys, run: Path, given: Path | None) -> tuple[Mapping[str, Any] | None, Path]:
    """What ``dataset_info.json`` holds, and its folder. LLaMA-Factory looks from where it is started."""
    folder = keys.text("dataset_dir", "data")
    for path in [given] if given else [Path(folder) / FILE, run.parent / folder / FILE]:
        if given or path.is_file():
            try:
                content = json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                raise UsageError(f"{path} cannot be read: {error}") from None
            if not isinstance(content, dict):
                raise UsageError(f"{path} must hold names and what they stand for")
            return content, path.parent
    return None, Path()


def _found(name: str, info: Mapping[str, Any], folder: Path, out: Path, result: Imported, texts: bool) -> Found:
    entry = info.get(name)
    if not isinstance(entry, Mapping):
        return Found(settings={}, why_not=f"{FILE} has no {name}: give DATA")
    keys = Keys(entry, Imported())
    data, why_not = _place(keys, folder, out)
    settings, trouble = said_as(keys, texts)
    if data.startswith("hf:"):
        keys.set("split", keys.text("split", "train"), "split")
        settings["split"] = keys.result.settings["split"]
    for key in entry:
        said = f"{FILE}: {name}: {key}"
        if key in keys.result.taken:
            result.taken[said] = keys.result.taken[key]
        else:
            result.left[said] = keys.result.left.get(key, "graftlm has nothing like it")
    return Found(data=data, settings=settings, why_not=why_not or trouble)


def _place(keys: Keys, folder: Path, out: Path) -> tuple[str, str]:
    """Where the rows are, as graftlm says it; empty, with the reason, where it cannot."""
    if "hf_hub_url" in keys:
        keys.take("hf_hub_url", "data")
        for key in ("ms_hub_url", "om_hub_url", "file_name"):
            keys.leave(key, "hf_hub_url is there too, and is taken")
        for key in ("subset", "folder"):
            keys.leave(key, "graftlm reads the default configuration: download the files, and give them as DATA")
        return f"hf:{keys.text('hf_hub_url')}", ""
    if "file_name" in keys:
        keys.take("file_name", "data")
        path = folder / keys.text("file_name")
        return os.path.relpath(path.absolute(), out.absolute().parent), ""
    for key in ("ms_hub_url", "om_hub_url", "script_url", "cloud_file_name"):
        if key in keys:
            keys.leave(key, "graftlm reads files and hf:OWNER/NAME: download it, and give the file as DATA")
            return "", f"it comes from {key}, which graftlm does not read: download it, and give the file as DATA"
    return "", "it names no file: give DATA"


def _names(value: Any) -> list[str]:
    parts = value if isinstance(value, list) else str(value).split(",") if value is not None else []
    return [name for part in parts if (name := str(part).strip())]
