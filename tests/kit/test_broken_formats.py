"""What is wrong with a data format is found by its suite, and said."""

from __future__ import annotations

import pytest
from broken import Fault, is_caught
from common_faults import common_faults

ALONE, ELSE, BECOME = (
    "test_it_alone_recognises_its_records",
    "test_it_recognises_nothing_else",
    "test_records_become_conversations",
)
SAME, REFUSED, DAMAGED, BACK = (
    "test_parsing_changes_no_record_and_gives_the_same_again",
    "test_what_cannot_be_used_is_refused_with_a_reason",
    "test_a_damaged_record_is_a_conversation_or_a_sentence",
    "test_what_is_written_reads_back",
)
FIELD = 'return isinstance(record.get("dialogue"), list)'
TURN = "return Conversation(tuple(_message(number, turn) for number, turn in enumerate(turns, start=1)))"
FAULTS = (
    *common_faults("format", "alpaca"),
    Fault("it recognises everything", {FIELD: "return bool(record)"}, ELSE, ("a record that is nobody's",)),
    Fault("it recognises nothing", {FIELD: 'return "dialog" in record'}, ALONE, ("by no format", "acme")),
    Fault(
        "it recognises another's records",
        {FIELD: 'return isinstance(record.get("dialogue", record.get("messages")), list)'},
        ELSE,
        ("acme recognises a record of the format openai",),
    ),
    Fault(
        "it gives no truth value",
        {FIELD: 'return record.get("dialogue") and isinstance(record["dialogue"], list)'},
        DAMAGED,
        ("neither True nor False",),
    ),
    Fault(
        "the roles are mixed up",
        {'"client": "user", "agent": "assistant"': '"client": "assistant", "agent": "user"'},
        BECOME,
        ("means", "and became", "Is it open?"),
    ),
    Fault("a turn is lost", {"enumerate(turns, start=1)": "enumerate(turns[:2], start=1)"}, BECOME, ("and became",)),
    Fault(
        "it calls its records documents", {"write=write,": "write=write, documents=True,"}, BECOME, ("documents=True",)
    ),
    Fault(
        "it changes its record",
        {'turns = record.get("dialogue")': 'turns = record.pop("dialogue", None)'},
        SAME,
        ("parse changed its record",),
    ),
    Fault(
        "it gives another one each time",
        {TURN: TURN[:-1] + ", source=str(__import__('time').perf_counter_ns()))"},
        SAME,
        ("gives two conversations",),
    ),
    Fault(
        "it refuses without a word",
        {"\"'dialogue' must be a list of turns, with one at least\"": '""'},
        REFUSED,
        ("which is no sentence",),
    ),
    Fault("it takes a dialogue without turns", {" or not turns:": ":"}, REFUSED, ("a record that cannot be used",)),
    Fault(
        "it takes what is no text",
        {"not all(isinstance(words, str) for words in turn)": "not turn[0]"},
        REFUSED,
        ("a record that cannot be used", "None"),
    ),
    Fault(
        "it raises something else",
        {"if speaker not in SPEAKERS:": "if speaker is None:"},
        DAMAGED,
        ("must refuse with DataError, and raised KeyError",),
    ),
    Fault("it strips what is said", {"SPEAKERS[speaker], said)": "SPEAKERS[speaker], said.strip())"}, BACK, ("means",)),
    Fault("it writes what it cannot say", {"message.train is not None or ": ""}, BACK, ("train=",)),
    Fault(
        "what it writes is no JSON",
        {'return {"dialogue": turns}': 'return {"dialogue": tuple(turns)}'},
        BACK,
        ("is not JSON",),
    ),
    Fault(
        "it does not know what it wrote",
        {'return {"dialogue": turns}': 'return {"dialog": turns}'},
        BACK,
        ("does not recognise what it wrote",),
    ),
)


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_fault_of_a_format_is_caught(fault: Fault) -> None:
    is_caught("format", fault)
