"""The chat templates that a model folder's files bring, as a family asks for them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from graftlm.api import ModelError, read_chat_templates

CONFIG = "tokenizer_config.json"
TWO = [{"name": "default", "template": "a"}, {"name": "tool_use", "template": "b"}]


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({}, {}),
        # what the tokens of a base model are named is no template
        ({CONFIG: {"added_tokens_decoder": {"3": {"content": "<start_of_turn>"}}}}, {}),
        ({CONFIG: {"chat_template": "a"}}, {"default": "a"}),
        ({CONFIG: {"chat_template": TWO}}, {"default": "a", "tool_use": "b"}),
        ({"chat_template.json": {"chat_template": "c"}, CONFIG: {"chat_template": "a"}}, {"default": "c"}),
        ({"chat_template.jinja": "d", CONFIG: {"chat_template": "a"}}, {"default": "d"}),
    ],
)  # fmt: skip
def test_they_are_read_as_transformers_reads_them(
    files: Mapping[str, Any], found: Mapping[str, str], tmp_path: Path
) -> None:
    for name, said in files.items():
        (tmp_path / name).write_text(said if isinstance(said, str) else json.dumps(said), encoding="utf-8")
    assert read_chat_templates(tmp_path) == found


def test_a_template_of_another_shape_is_an_error(tmp_path: Path) -> None:
    (tmp_path / CONFIG).write_text('{"chat_template": 3}', encoding="utf-8")
    with pytest.raises(ModelError, match="neither text nor a list"):
        read_chat_templates(tmp_path)
