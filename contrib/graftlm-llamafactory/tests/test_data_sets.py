"""``dataset_info.json``: names, columns and tags as graftlm's data, format and columns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from graftlm.api import UsageError
from graftlm_llamafactory.importing.convert import convert, read_run
from graftlm_llamafactory.importing.imported import Imported

Write = Callable[..., Path]


def imported(write: Write, out: str = "run.yaml", **keys: Any) -> Imported:
    path = write(model_name_or_path="tiny-mistral", **keys)
    return convert(read_run(path), path, None, path.parent / out)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("plain", {"data": "data/plain.json", "format": "alpaca", "columns": None}),
        ("named", {"data": "data/named.json", "format": "alpaca",
                   "columns": "instruction=question,input=context,output=answer"}),
        ("chat", {"data": "data/chat.json", "format": "sharegpt", "columns": None}),
        ("messages", {"data": "data/messages.json", "format": "openai", "columns": None}),
        ("hub", {"data": "hf:owner/name", "format": "alpaca", "split": "train_sft"}),
    ],
)  # fmt: skip
def test_a_data_set_becomes_data_and_format(run_file: Write, name: str, expected: dict[str, Any]) -> None:
    found = imported(run_file, dataset=name)
    assert {key: found.settings.get(key) for key in expected} == expected
    assert found.taken["dataset"] == "data"


def test_paths_are_said_from_where_graftlm_reads_the_file(run_file: Write, tmp_path: Path) -> None:
    assert imported(run_file, "deep/er/run.yaml", dataset="plain").settings["data"] == "../../data/plain.json"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("strange", "role_tag speaker"),
        ("elsewhere", "ms_hub_url"),
        ("preferences", "preferences"),
        ("nobody", "has no nobody"),
        ("plain, chat", "graftlm data mix data/plain.json=1 data/chat.json=1 --out mixed.jsonl"),
    ],
)
def test_what_cannot_be_read_says_what_to_do(run_file: Write, name: str, why: str) -> None:
    found = imported(run_file, dataset=name)
    assert "data" not in found.settings
    assert why in found.left["dataset"]


def test_texts_are_read_from_the_question_s_column(run_file: Write) -> None:
    found = imported(run_file, dataset="named", stage="pt").settings
    assert (found["format"], found["columns"], found["train-on"]) == ("text", "text=question", "all")
    assert "data" not in imported(run_file, dataset="chat", stage="pt").settings


def test_each_key_of_the_entry_is_accounted_for(run_file: Write) -> None:
    found = imported(run_file, dataset="hub")
    assert "default configuration" in found.left["dataset_info.json: hub: subset"]
    assert found.taken["dataset_info.json: hub: hf_hub_url"] == "data"


def test_an_eval_dataset_is_the_validation(run_file: Write) -> None:
    found = imported(run_file, dataset="plain", eval_dataset="named")
    assert found.settings["val-data"] == "data/named.json"
    assert "val-split" not in found.settings
    assert any("val-data is read" in remark for remark in found.remarks)


def test_without_a_dataset_info_the_data_is_asked_for(run_file: Write) -> None:
    found = imported(run_file, dataset="plain", dataset_dir="nowhere")
    assert "give --dataset-info" in found.left["dataset"]


def test_a_dataset_info_that_is_given_wins(run_file: Write, tmp_path: Path) -> None:
    path = run_file(model_name_or_path="m", dataset="one", dataset_dir="nowhere")
    info = tmp_path / "elsewhere" / "info.json"
    info.parent.mkdir()
    info.write_text('{"one": {"file_name": "one.jsonl"}}', encoding="utf-8")
    found = convert(read_run(path), path, info, tmp_path / "run.yaml")
    assert found.settings["data"] == "elsewhere/one.jsonl"
    info.write_text("[]", encoding="utf-8")
    with pytest.raises(UsageError, match="must hold names"):
        convert(read_run(path), path, info, tmp_path / "run.yaml")
