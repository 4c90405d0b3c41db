"""Records that no data format takes on purpose, each with what to do instead."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from graftlm.contracts.specs import DataFormat, Record

PREFERENCES = (
    ("chosen", "rejected"),
    ("chosen_response", "rejected_response"),
    ("preferred", "rejected"),
    ("preferred_output", "non_preferred_output"),
    ("response_0", "response_1"),
    ("response_a", "response_b"),
)
JUDGED = ("kto_tag", "label")
ANSWER = (("completion",), ("prompt", "response"), ("query", "response"))
"""Fields beside which a ``label`` judges an answer."""
MEDIA = {
    "images": re.compile(r"(input_)?images?(_(url|path|file|bytes|base64|data)s?)?|pixel_values", re.IGNORECASE),
    "videos": re.compile(r"(input_)?videos?(_(url|path|file|bytes|base64|data)s?)?", re.IGNORECASE),
    "sound": re.compile(
        r"(input_)?(audio|sound)s?(_(url|path|file|bytes|base64|data)s?)?|input_(features|values)", re.IGNORECASE
    ),
}
"""What a field, or a part of a turn, of such a name holds."""

COMPARED = (("anchor", "positive"), ("query", "positive"), ("query", "pos"), ("sentence1", "sentence2"))
VECTORS = ("embedding", "embeddings", "vector")
KNOWN_TURNS = ("messages", "conversations")
TURNS = (*KNOWN_TURNS, "conversation", "dialogue", "dialog", "turns", "chat")
ASKED = ("text", "sentence", "prompt", "question", "query", "instruction", "input", "content", "document", "article")
ANSWERED = (
    "label_text", "label_name", "label", "labels", "class", "sentiment", "category", "summary", "highlights", "target",
    "response", "answer", "output", "completion",
)  # fmt: skip
KEPT = ("system", "system_prompt", "history", "context", "tools", "functions", "capability")
"""What changes what is asked or how it counts, and would be lost if --columns did not name it."""


def refusal(record: Record) -> str:
    """Why no format may take the record, whatever it looks like, and what to do, as one sentence without its end; empty
    where there is no reason. Answers that are compared or judged are as good to train on as bad ones, and a text about
    a picture says something else without it. It looks at field names and types only, and every row goes through it.
    """
    if _odd(tuple(record)):
        said = _preference(record) or _judged(record) or _media(record)
        if said:
            return said
    for name, value in record.items():
        if type(value) is list and value and type(value[0]) is dict:
            said = _media_in_turns(name, value)
            if said:
                return said
    return ""


def reason_against(record: Record) -> str:
    """Why no format knows the record and what to do, as ``refusal`` says it; empty where there is nothing to say."""
    for reason in (refusal, _tokenized, _turns, _compared, _table):
        said = reason(record)
        if said:
            return said
    return ""


def columns_meant(record: Record, formats: Sequence[DataFormat]) -> str:
    """For a record that no format recognises, and ``reason_against`` says nothing of: the --columns that may be meant,
    where its names are a format's but for case, or where it has two texts; empty otherwise.
    """
    lower: dict[str, str] = {}
    for name in record:
        lower.setdefault(name.lower(), name)
    renamed = {low: record[name] for low, name in lower.items()}
    if refusal(renamed) or any("," in name for name in record):  # a comma ends a column's name in --columns
        return ""
    fitting = [f for f in formats if f.recognises(renamed)]
    if len(fitting) == 1:
        known = (*fitting[0].fields, *KEPT)
        return _columns(*((low, name) for low, name in lower.items() if low in known))
    texts = [name for name, value in record.items() if isinstance(value, str) and name.lower() not in KEPT]
    if len(texts) > 2:
        texts = [name for name in texts if name.lower() not in NUMBERS and not record[name].strip().isdigit()]
    if len(texts) != 2:
        return ""
    kept = ((low, name) for low, name in lower.items() if low in KEPT and record[name])
    return _columns(("input", texts[0]), ("output", texts[1]), *kept)


NUMBERS = ("id", "idx", "index", "no", "nr", "number")
"""Columns that tell rows apart."""


def _columns(*named: tuple[str, str]) -> str:
    return "--columns " + ",".join(f"{field}={column}" for field, column in named)


def _columns_of(record: Record, *named: tuple[str, str]) -> str:
    """``--columns`` that reads fields from columns, and keeps what else the record has to say."""
    taken = {column for _, column in named}
    return _columns(*named, *((name, name) for name in KEPT if record.get(name) and name not in taken))


@lru_cache(maxsize=256)
def _odd(names: tuple[str, ...]) -> bool:
    """Whether a record with these fields may be refused; most records of a file have the same ones."""
    compared = any(good in names and bad in names for good, bad in PREFERENCES)
    return compared or any(name in names for name in JUDGED) or bool(_media_names(names))


@lru_cache(maxsize=256)
def _media_names(names: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Those that are names of media, each with what it holds."""
    return tuple((name, what) for name in names for what, pattern in MEDIA.items() if pattern.fullmatch(name))


def _there(record: Record, *names: str) -> bool:
    return all(record.get(name) is not None for name in names)


def _preference(record: Record) -> str:
    for good, bad in PREFERENCES:
        if _there(record, good, bad):
            what = f"it compares two answers ('{good}' and '{bad}'), and graftlm trains on one"
            if isinstance(record[good], list):
                return f"{what}: choose the better one, such as with {_columns_of(record, ('messages', good))}"
            asked = next((name for name in ASKED if isinstance(record.get(name), str)), "prompt")
            columns = _columns_of(record, ("input", asked), ("output", good))
            return f"{what}: choose the better one, such as with {columns}"
    return ""


def _judged(record: Record) -> str:
    for name in JUDGED:
        if isinstance(record.get(name), bool) and (name == "kto_tag" or any(_there(record, *p) for p in ANSWER)):
            return (
                f"it says whether an answer is good ('{name}'), and graftlm trains on good ones alone: "
                f"keep the records where '{name}' is true, and leave the field out"
            )
    return ""


def _media(record: Record) -> str:
    for name, what in _media_names(tuple(record)):
        if record[name]:
            return f"it holds {what} ('{name}'), and only text can be trained on: leave such records, or the field, out"
    return ""


def _media_in_turns(field: str, turns: list[Any]) -> str:
    """In the fields of turns, and by the types of their parts."""
    for number, turn in enumerate(turns, 1):
        if type(turn) is not dict or not ("content" in turn or "value" in turn):
            continue
        held = [found for found in _media_names(tuple(turn)) if turn[found[0]]]
        said = turn.get("content") or turn.get("value")
        if type(said) is list:
            held += _media_names(tuple(str(part.get("type")) for part in said if type(part) is dict))
        for name, what in held:
            where = f"turn {number} of '{field}' holds {what} ('{name}')"
            return f"{where}, and only text can be trained on: leave such records out"
    return ""


def _tokenized(record: Record) -> str:
    if _there(record, "input_ids"):
        return "it is tokenized already ('input_ids'), and graftlm tokenizes for the model itself: give the text"
    return ""


def _turns(record: Record) -> str:
    for name in TURNS:
        value = record.get(name)
        first = value[0] if isinstance(value, list) and value else None
        if isinstance(value, str) and value.lstrip().startswith(("[", "{")):
            return f"its turns stand as text in '{name}': give a JSON file with a list of turns there"
        if isinstance(value, Mapping) or (isinstance(first, str) and name in KNOWN_TURNS):
            return f"'{name}' must be a list of turns, each an object that says who speaks, and the words"
        if isinstance(first, Mapping) and name not in KNOWN_TURNS:
            meant = "conversations" if "from" in first else "messages"
            return f"its turns stand in '{name}': say so with {_columns_of(record, (meant, name))}"
    return ""


def _compared(record: Record) -> str:
    for one, other in COMPARED:
        if _there(record, one, other):
            return f"it compares texts ('{one}' and '{other}'), as for embeddings, and graftlm trains answers: {ADVICE}"
    for name in VECTORS:
        if isinstance(record.get(name), list):
            return f"it holds vectors ('{name}'), and graftlm trains on text: {ADVICE}"
    return ""


ADVICE = "name a question and its answer with --columns input=…,output=…, if it has them"


def _table(record: Record) -> str:
    asked = next((name for name in ASKED if isinstance(record.get(name), str)), "")
    answered = next((name for name in ANSWERED if record.get(name) is not None), "")
    if not asked or not answered:
        return ""
    columns = _columns_of(record, ("input", asked), ("output", answered))
    return f"it is a table: name its question and its answer, such as with {columns}"
