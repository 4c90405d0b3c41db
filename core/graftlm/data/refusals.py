"""Records that no data format takes on purpose, each with what to do instead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from graftlm.contracts.specs import Record

PREFERENCES = (
    ("chosen", "rejected"),
    ("chosen_response", "rejected_response"),
    ("preferred", "rejected"),
    ("preferred_output", "non_preferred_output"),
    ("response_0", "response_1"),
    ("response_a", "response_b"),
)
MEDIA = {"image": "images", "video": "videos", "audio": "sound", "pixel_values": "images", "features": "sound"}
"""What a field, or a part of a turn, holds whose name begins like this, be it behind ``input_``."""

COMPARED = (("anchor", "positive"), ("query", "positive"), ("query", "pos"), ("sentence1", "sentence2"))
VECTORS = ("embedding", "embeddings", "vector")
KNOWN_TURNS = ("messages", "conversations")
TURNS = (*KNOWN_TURNS, "conversation", "dialogue", "dialog", "turns", "chat")
ASKED = ("text", "sentence", "prompt", "question", "query", "instruction", "input", "content", "document", "article")
ANSWERED = (
    "label_text", "label", "labels", "class", "sentiment", "category", "summary", "highlights", "target", "response",
    "answer", "output", "completion",
)  # fmt: skip


def reason_against(record: Record) -> str:
    """Why no format takes the record and what to do, as one sentence without its end; empty where there is nothing to
    say. It looks at field names and types only.
    """
    for reason in (_preference, _judged, _media, _tokenized, _turns, _compared, _table):
        said = reason(record)
        if said:
            return said
    return ""


def _there(record: Record, *names: str) -> bool:
    return all(record.get(name) is not None for name in names)


def _preference(record: Record) -> str:
    for good, bad in PREFERENCES:
        if _there(record, good, bad):
            what = f"it compares two answers ('{good}' and '{bad}'), and graftlm trains on one"
            if isinstance(record[good], list):
                return f"{what}: choose the better one, such as with --columns messages={good}"
            asked = next((name for name in ASKED if isinstance(record.get(name), str)), "prompt")
            return f"{what}: choose the better one, such as with --columns input={asked},output={good}"
    return ""


def _judged(record: Record) -> str:
    for name in ("kto_tag", "label"):
        if isinstance(record.get(name), bool) and (name == "kto_tag" or _there(record, "completion")):
            return (
                f"it says whether an answer is good ('{name}'), and graftlm trains on good ones alone: "
                f"keep the records where '{name}' is true, and leave the field out"
            )
    return ""


def _media(record: Record) -> str:
    for name in _media_names(record):
        for start, what in MEDIA.items():
            if name.lower().removeprefix("input_").startswith(start):
                return f"it holds {what} ('{name}'), and graftlm trains on text alone: leave such records out"
    return ""


def _media_names(record: Record) -> Iterator[str]:
    """Fields that hold something, and the types of the parts of turns."""
    for name, value in record.items():
        if value and not name.lower().endswith("_id"):
            yield name
        for turn in value if isinstance(value, list) else ():
            parts = turn.get("content") if isinstance(turn, Mapping) else None
            for part in parts if isinstance(parts, list) else ():
                if isinstance(part, Mapping) and isinstance(part.get("type"), str):
                    yield part["type"]


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
            return f"its turns stand in '{name}': say so with --columns {meant}={name}"
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
    return f"it is a table: name its question and its answer, such as with --columns input={asked},output={answered}"
