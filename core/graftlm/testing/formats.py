"""What is asked of a data format."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import given, settings

from graftlm.contracts.conversation import Conversation, Message, ToolCall
from graftlm.contracts.errors import DataError
from graftlm.contracts.specs import DataFormat, Record
from graftlm_registry.plugins import registry

from .records import conversations, mutated

Given = TypeVar("Given")
Result = TypeVar("Result")
Meant = tuple[Message, ...] | Conversation

USUAL: Mapping[str, Record] = {
    "alpaca": {"instruction": "q", "input": "", "output": "a", "text": "### Instruction: q"},
    "pairs": {"prompt": "q", "completion": "a", "id": 7},
    "sharegpt": {"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}], "id": "x"},
    "openai": {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}], "prompt": "q"},
    "chatglm3": {"conversations": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]},
    "human-assistant": {"text": "<HUMAN>: q\n<ASSISTANT>: a"},
    "text": {"text": "a document", "url": "x", "score": 0.5},
}
"""A record of each built-in format, as files on the hub have them."""

NOBODYS: tuple[Record, ...] = (
    {},
    {"a": 1, "b": None},
    {"messages": "x", "conversations": 3, "instruction": 4},
    {"text": "a film", "label": 1},
    {"input_ids": [1, 2], "labels": [1, 2]},
)
"""Records that a format would have to guess at. Those with media, and answers that are compared or judged, are refused
before any format is asked, so that none has to look for them.
"""


class FormatSuite:
    """Subclass, name the format, and give records with what they mean."""

    data_format: ClassVar[str]
    examples: ClassVar[tuple[tuple[Record, Meant], ...]]
    """Records, each with the messages, or the whole conversation, that it stands for."""
    broken: ClassVar[tuple[Record, ...]] = ()
    """Records of this format that cannot be used: ``parse`` raises ``DataError``."""
    tries: ClassVar[int] = 100
    """How many mutated records and conversations are tried."""

    @property
    def spec(self) -> DataFormat:
        return registry().get(DataFormat, self.data_format)

    def meant(self) -> Iterator[tuple[Record, Conversation]]:
        """The examples, each with a whole conversation."""
        for record, meant in self.examples:
            yield record, meant if isinstance(meant, Conversation) else Conversation(meant)

    def test_it_alone_recognises_its_records(self) -> None:
        """Else every user of such a file would have to say --format."""
        for record, _ in self.examples:
            assert [f.name for f in registry().all(DataFormat) if f.recognises(record)] == [self.spec.name], record

    def test_it_recognises_nothing_else(self) -> None:
        for record in NOBODYS:
            assert not self.spec.recognises(record), record
        for name, record in USUAL.items():
            assert self.spec.recognises(record) == (name == self.spec.name), record

    def test_records_become_conversations(self) -> None:
        for record, meant in self.meant():
            parsed = self.spec.parse(record)
            assert parsed.messages == meant.messages
            assert parsed.tools == meant.tools
            assert parsed.is_document == self.spec.documents

    def test_parsing_changes_no_record_and_gives_the_same_again(self) -> None:
        for record, _ in self.examples:
            before = deepcopy(record)
            first = self.spec.parse(record)
            assert record == before
            assert self.spec.parse(record) == first

    def test_what_cannot_be_used_is_refused_with_a_reason(self) -> None:
        for record in self.broken:
            with pytest.raises(DataError) as caught:
                self.spec.parse(record)
            assert is_sentence(str(caught.value)), caught.value

    def test_a_damaged_record_is_a_conversation_or_a_sentence(self) -> None:
        """Never another error, and never a conversation that holds anything but what its type says."""
        known = tuple(self.spec.fields)

        def holds(record: Record) -> None:
            assert isinstance(self.spec.recognises(record), bool)
            parsed = or_reason(self.spec.parse, record)
            assert is_sentence(parsed) if isinstance(parsed, str) else is_sound(parsed), parsed

        self._try(given(mutated([record for record, _ in self.examples], known))(holds))

    def test_its_examples_can_be_written(self) -> None:
        for record, meant in self.meant():
            if self.spec.write is not None:
                self._reads_back(self.spec.write(self.spec.parse(record)), meant)

    def test_what_is_written_reads_back(self) -> None:
        """``write`` says a conversation so that ``parse`` gives it again, or says why it cannot."""
        write = self.spec.write

        def holds(conversation: Conversation) -> None:
            assert write is not None
            record = or_reason(write, conversation)
            if isinstance(record, str):
                assert is_sentence(record), record
            else:
                self._reads_back(record, conversation)

        if write is not None:
            self._try(given(conversations())(holds))

    def _reads_back(self, record: Record, meant: Conversation) -> None:
        again = json.loads(json.dumps(record))
        assert again == record  # it is JSON, so that any file can hold it
        assert self.spec.recognises(again), record
        parsed = self.spec.parse(again)
        assert parsed.messages == meant.messages
        assert parsed.tools == meant.tools

    def _try(self, property_: Callable[[], None]) -> None:
        settings(max_examples=self.tries, deadline=None, database=None)(property_)()


def or_reason(call: Callable[[Given], Result], value: Given) -> Result | str:
    """What a call gives, or the sentence with which it refuses."""
    try:
        return call(value)
    except DataError as error:
        return str(error)


def is_sentence(reason: str) -> bool:
    """Whether a reason has words in it, which is all that can be asked of it here."""
    return any(letter.isalpha() for letter in reason) and "Traceback" not in reason


def is_sound(conversation: Conversation) -> bool:
    """Whether a conversation holds what its type says."""
    return (
        bool(conversation.messages)
        and all(map(_is_message, conversation.messages))
        and all(isinstance(tool, Mapping) and isinstance(tool.get("function"), Mapping) for tool in conversation.tools)
    )


def _is_message(message: Any) -> bool:
    return (
        isinstance(message, Message)
        and message.role in ("system", "user", "assistant", "tool", "document")
        and all(isinstance(words, str) for words in (message.content, message.name, message.call_id))
        and (message.train is None or isinstance(message.train, bool))
        and (message.role == "assistant" or not message.tool_calls)
        and all(map(_is_call, message.tool_calls))
    )


def _is_call(call: Any) -> bool:
    return (
        isinstance(call, ToolCall)
        and isinstance(call.name, str)
        and isinstance(call.arguments, Mapping)
        and isinstance(call.id, str)
    )
