"""What no format takes is refused with a sentence that says what to do."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graftlm.api import DataError, DataFormat
from graftlm.data.columns import parse_columns
from graftlm.data.conversations import Fault, Reading, detect, read, refuse_misfit
from graftlm.data.inputs import find
from graftlm.data.refusals import columns_meant, reason_against, refusal
from graftlm.testing.formats import NOBODYS, USUAL
from graftlm.testing.records import JSON, mutated
from graftlm_plugins.formats.documents import LABELS
from graftlm_registry.plugins import registry

USER = {"role": "user", "content": "q"}
quick = settings(max_examples=200, deadline=None, database=None)


def parsed(path: Path, record: dict[str, Any], name: str) -> str:
    """What is said of a file of this record, read as a format."""
    path.write_text(json.dumps(record) + "\n", encoding="utf-8")
    (row,) = read(find(str(path), spool=path.parent), Reading(registry().get(DataFormat, name)))
    return row.reason if isinstance(row, Fault) else ""


@pytest.mark.parametrize(
    ("record", "says"),
    [
        ({"prompt": "q", "chosen": "a", "rejected": "b"}, ["compares two answers", "input=prompt,output=chosen"]),
        ({"chosen": [USER], "rejected": [USER]}, ["'chosen' and 'rejected'", "--columns messages=chosen"]),
        ({"messages": [USER], "chosen": [USER], "rejected": [USER]}, ["--columns messages=chosen"]),
        ({"question": "q", "response_0": "a", "response_1": "b"}, ["input=question,output=response_0"]),
        ({"prompt": "q", "completion": "a", "preferred": "a", "rejected": "b"}, ["compares two answers"]),
        ({"prompt": "q", "completion": "a", "label": True}, ["whether an answer is good", "where 'label' is true"]),
        ({"query": "q", "response": "a", "label": False}, ["whether an answer is good", "where 'label' is true"]),
        (
            {"query": "q", "response_0": "a", "response_1": "b", "system": "s", "history": [["x", "y"]], "context": ""},
            ["input=query,output=response_0,system=system,history=history"],
        ),
        ({"instruction": "q", "output": "a", "kto_tag": False}, ["where 'kto_tag' is true"]),
        ({"image": {"bytes": "…"}, "caption": "a cat"}, ["images ('image')", "leave such records"]),
        ({"text": "a cat", "image": "x.png"}, ["images ('image')"]),
        ({"instruction": "q", "output": "a", "Images": ["x.png"]}, ["images ('Images')"]),
        ({"question": "q", "answer": "a", "input_features": [0.1]}, ["sound ('input_features')"]),
        ({"audio": {"path": "x.wav"}, "sentence": "hello"}, ["sound ('audio')"]),
        ({"video_path": "x.mp4", "caption": "a cat"}, ["videos ('video_path')"]),
        ({"prompt": [{"content": [{"type": "image_url"}]}], "answer": "a"}, ["turn 1 of 'prompt'", "('image_url')"]),
        ({"conversations": [{"from": "human", "value": "q", "images": [1]}]}, ["turn 1 of 'conversations'", "images"]),
        ({"messages": [USER, {"role": "assistant", "content": None, "audio": {"id": 1}}]}, ["turn 2 of", "sound"]),
        ({"messages": [USER | {"content": [{"type": "text"}, {"type": "input_audio"}]}]}, ["('input_audio')"]),
    ],
)
def test_what_no_format_may_take(record: dict[str, Any], says: list[str], tmp_path: Path) -> None:
    """Whatever format is asked, whether it was found or named, and however it reads its records."""
    reason = refusal(record)
    assert reason == reason_against(record)
    assert "\n" not in reason
    for words in says:
        assert words in reason, reason
    for name in ("alpaca", "openai", "pairs", "text"):
        assert parsed(tmp_path / "d.jsonl", record, name) == reason
    inputs, formats = find(str(tmp_path / "d.jsonl"), spool=tmp_path), list(registry().all(DataFormat))
    whole = re.escape(f"{tmp_path}/d.jsonl:1: {reason}")
    with pytest.raises(DataError, match=f"^{whole}$"):
        detect(inputs, formats, {})
    with pytest.raises(DataError, match=f"^{whole}$"):
        refuse_misfit(inputs, Reading(registry().get(DataFormat, "openai")))


@pytest.mark.parametrize(
    "record",
    [
        {"prompt": "q", "completion": "a", "label": "yes", "image": None, "images": [], "video_id": "x"},
        {"instruction": "q", "output": "a", "label": True, "features": ["x"], "image_caption": "a cat"},
        {"messages": [USER | {"image": None}, {"role": "assistant", "content": [{"type": "text", "text": "a"}]}]},
        {"messages": [USER, {"role": "assistant", "content": "a"}], "chosen": "a", "rejected": None},
        {"question": "q", "answer": "a", "preferred": "a", "meta": [{"image": "x.png"}]},
    ],
)
def test_what_only_looks_like_that(record: dict[str, Any], tmp_path: Path) -> None:
    assert refusal(record) == ""
    (name,) = [f.name for f in registry().all(DataFormat) if f.recognises(record)]
    assert parsed(tmp_path / "d.jsonl", record, name) == ""


def test_refused_records_among_others_are_told_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    good, bad = {"question": "q", "answer": "a"}, {"question": "q", "answer": "a", "image": "x.png"}
    path.write_text("".join(json.dumps(record) + "\n" for record in (bad, good, bad, good)), encoding="utf-8")
    inputs = find(str(path), spool=tmp_path)
    found = detect(inputs, list(registry().all(DataFormat)), {})
    assert found.name == "pairs"
    refuse_misfit(inputs, Reading(found))
    assert [isinstance(row, Fault) for row in read(inputs, Reading(found))] == [True, False, True, False]


@pytest.mark.parametrize("name", LABELS)
def test_a_text_with_a_label_is_nobodys(name: str) -> None:
    """What the format of texts leaves alone, the sentence about tables knows."""
    record = {"text": "a film", name: "good"}
    assert not [f.name for f in registry().all(DataFormat) if f.recognises(record)]
    assert f"--columns input=text,output={name}" in reason_against(record)


@pytest.mark.parametrize(
    ("record", "says"),
    [
        ({"input_ids": [1, 2], "attention_mask": [1, 1]}, ["tokenized already", "give the text"]),
        ({"messages": '[{"role": "user"}]'}, ["as text in 'messages'", "JSON"]),
        ({"messages": {"role": ["user"]}}, ["'messages' must be a list of turns"]),
        ({"conversation": [USER]}, ["--columns messages=conversation"]),
        ({"dialog": [{"from": "human", "value": "q"}]}, ["--columns conversations=dialog"]),
        ({"anchor": "x", "positive": "y"}, ["compares texts", "--columns"]),
        ({"title": "x", "embedding": [0.1, 0.2]}, ["vectors ('embedding')"]),
        ({"text": "a film", "label": 1}, ["--columns input=text,output=label"]),
        ({"article": "x", "highlights": "y"}, ["--columns input=article,output=highlights"]),
        (
            {"query": "q", "output": "a", "system": "s", "history": [["x", "y"]], "context": "c", "tools": []},
            ["--columns input=query,output=output,system=system,history=history,context=context"],
        ),
        ({"dialog": [USER], "tools": "[]", "system": "s"}, ["--columns messages=dialog,system=system,tools=tools"]),
    ],
)
def test_it_says_what_to_do(record: dict[str, Any], says: list[str]) -> None:
    assert not [f.name for f in registry().all(DataFormat) if f.recognises(record)]
    reason = reason_against(record)
    assert "\n" not in reason
    for words in says:
        assert words in reason, reason


@pytest.mark.parametrize("record", [{}, {"a": 1}, {"id": 1, "name": "x"}, {"video_id": "x", "title": "y"}])
def test_it_is_silent_where_it_knows_nothing(record: dict[str, Any]) -> None:
    assert reason_against(record) == ""


@pytest.mark.parametrize(
    ("record", "columns"),
    [
        ({"Instruction": "q", "Output": "a"}, "instruction=Instruction,output=Output"),
        ({"Id": "7", "QUESTION": "q", "Answer": "a", "System": "s"}, "question=QUESTION,answer=Answer,system=System"),
        ({"Messages": [USER], "Tools": []}, "messages=Messages,tools=Tools"),
        ({"Text": "a document"}, "text=Text"),
        ({"Frage": "q", "Antwort": "a"}, "input=Frage,output=Antwort"),
        ({"nr": "x1", "Frage": "q", "Antwort": "a", "year": "1999"}, "input=Frage,output=Antwort"),
        ({"Frage": "2 + 2", "Antwort": "4", "System": "s"}, "input=Frage,output=Antwort,system=System"),
        ({"Frage": "q", "Antwort": "a", "Quelle": "x"}, ""),
        ({"Frage, neu": "q", "Antwort": "a"}, ""),
        ({"Prompt": "q", "Chosen": "a", "Rejected": "b"}, ""),
        ({"Frage": "q"}, ""),
        ({}, ""),
    ],
)
def test_the_columns_that_may_be_meant(record: dict[str, Any], columns: str, tmp_path: Path) -> None:
    """They are named in the sentence, and read the record."""
    formats = list(registry().all(DataFormat))
    assert not [f.name for f in formats if f.recognises(record)]
    assert columns_meant(record, formats) == (columns and f"--columns {columns}")
    path = tmp_path / "d.jsonl"
    path.write_text(json.dumps(record) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"a record of no known format, with") as caught:
        detect(find(str(path), spool=tmp_path), formats, {})
    if columns:
        assert f": say what its columns are, such as with --columns {columns}. " in str(caught.value)
        detect(find(str(path), spool=tmp_path), formats, parse_columns(columns))


def test_a_format_that_was_named_says_what_is_not_there(tmp_path: Path) -> None:
    reason = parsed(tmp_path / "d.jsonl", {"question": "q", "answer": "a", "system": "s"}, "alpaca")
    assert reason.endswith(
        "there is no 'instruction' and no 'output', and it has question/answer: choose --format pairs, or --columns "
        "instruction=question,output=answer,system=system"
    )
    reason = parsed(tmp_path / "d.jsonl", {"instruction": "q", "response": "a"}, "alpaca")
    assert "there is no 'output', and it has instruction/response: choose --format pairs" in reason


@quick
@given(mutated([*USUAL.values(), *NOBODYS]))
def test_any_record_has_a_reason_or_none(record: dict[str, Any]) -> None:
    assert isinstance(refusal(record), str)
    assert isinstance(reason_against(record), str)
    assert isinstance(columns_meant(record, list(registry().all(DataFormat))), str)


FIELDS = {name for data_format in registry().all(DataFormat) for name in data_format.fields}
"""Whose record each is says its name, whatever it holds."""


@quick
@given(st.dictionaries(st.text(max_size=5).filter(lambda name: name not in FIELDS), JSON, max_size=5))
def test_what_nobody_knows_is_recognised_by_nobody(record: dict[str, Any]) -> None:
    assert not [f.name for f in registry().all(DataFormat) if f.recognises(record)]


@pytest.mark.parametrize(
    ("name", "record", "says"),
    [
        ("pairs", {"prompt": 1, "completion": "x"}, "'prompt' must be text, not int: write it in quotes"),
        ("pairs", {"prompt": "q", "completion": None}, "'completion' must be text, not null"),
        ("alpaca", {"instruction": "q", "output": 0}, "'output' must be text, not int: write it in quotes"),
        ("pairs", {"prompt": [USER], "completion": "x"}, "a list of turns belongs into 'messages'"),
        (
            "pairs",
            {"prompt": "q", "completion": "a", "question": "q", "answer": "b"},
            "it has prompt/completion and question/answer: say which are the question and its answer, such as with "
            "--columns input=prompt,output=completion",
        ),
        (
            "pairs",
            {"prompt": "q", "query": "r", "response": "a", "history": [["x", "y"]]},
            "it has prompt/response and query/response: say which are the question and its answer, such as with "
            "--columns input=prompt,output=response,history=history",
        ),
        ("openai", {"messages": [USER, {"role": "assistant", "content": 4}]}, "turn 2 has int in 'content'"),
        ("openai", {"messages": [USER, {"role": "oracle", "content": "a"}]}, "turn 2 has the role 'oracle', which is"),
        ("sharegpt", {"conversations": []}, "'conversations' must be a list of turns with 'from' and 'value'"),
        ("text", {"text": 5}, "'text' must be text, not int"),
    ],
)
def test_a_bad_value_gives_the_sentence_of_its_format(name: str, record: dict[str, Any], says: str) -> None:
    data_format = registry().get(DataFormat, name)
    assert data_format.recognises(record)
    with pytest.raises(DataError) as caught:
        data_format.parse(record)
    assert says in str(caught.value)
