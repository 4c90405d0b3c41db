"""What the tests share: a LLaMA-Factory run with its data, and a home of its own for graftlm."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

INFO: dict[str, Any] = {
    "plain": {"file_name": "plain.json"},
    "named": {
        "file_name": "named.json",
        "columns": {"prompt": "question", "query": "context", "response": "answer"},
    },
    "chat": {
        "file_name": "chat.json",
        "formatting": "sharegpt",
        "columns": {"messages": "conversations", "tools": "tools"},
        "tags": {"role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt"},
    },
    "messages": {
        "file_name": "messages.json",
        "formatting": "sharegpt",
        "columns": {"messages": "messages"},
        "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"},
    },
    "strange": {
        "file_name": "chat.json",
        "formatting": "sharegpt",
        "tags": {"role_tag": "speaker", "content_tag": "value"},
    },
    "hub": {"hf_hub_url": "owner/name", "split": "train_sft", "subset": "small"},
    "elsewhere": {"ms_hub_url": "owner/name"},
    "preferences": {
        "file_name": "preferences.json",
        "ranking": True,
        "columns": {"prompt": "a", "chosen": "b", "rejected": "c"},
    },
}
SAID: dict[str, Callable[[int], dict[str, Any]]] = {
    "plain": lambda i: {"instruction": f"Say {i}", "input": "", "output": str(i)},
    "named": lambda i: {"question": f"Say {i}", "context": "", "answer": str(i), "instruction": "no", "output": "no"},
    "chat": lambda i: {
        "conversations": [{"from": "human", "value": f"Say {i}"}, {"from": "gpt", "value": str(i)}],
        "tools": "",
    },
    "messages": lambda i: {
        "messages": [{"role": "user", "content": f"Say {i}"}, {"role": "assistant", "content": str(i)}]
    },
}


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAFTLM_HOME", str(tmp_path / "home"))


@pytest.fixture
def run_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes a run file beside a folder ``data`` with its data sets."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "dataset_info.json").write_text(json.dumps(INFO), encoding="utf-8")
    for name, row in SAID.items():
        (data / f"{name}.json").write_text(json.dumps([row(i) for i in range(40)]), encoding="utf-8")

    def write(**keys: Any) -> Path:
        path = tmp_path / "llamafactory.yaml"
        path.write_text(yaml.safe_dump(keys), encoding="utf-8")
        return path

    return write
