"""What is asked of a data format."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from typing import Any, ClassVar, TypeVar

from hypothesis import given, settings

from graftlm.contracts.conversation import Conversation, Message, ToolCall
from graftlm.contracts.errors import DataError
from graftlm.contracts.specs import DataFormat, Record
from graftlm_registry.plugins import registry

from .gaps import optional, skip_unless
from .manners import is_sentence
from .records import conversations, mutated
from .suite import Suite

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


class FormatSuite(Suite):
    """Subclass, name the format, and give records with what they mean. Needs hypothesis."""

    kind = "format"
    needs = ("examples",)
    format: ClassVar[str]
    examples: ClassVar[tuple[tuple[Record, Meant], ...]]
    """Records, each with the messages, or the whole conversation, that it stands for."""
    broken: ClassVar[tuple[Record, ...]] = ()
    """Records of this format that cannot be used: ``parse`` raises ``DataError``."""
    tries: ClassVar[int] = 100
    """How many mutated records and conversations are tried."""

    @property
    def spec(self) -> DataFormat:
        return registry().get(DataFormat, self.format)

    def meant(self) -> Iterator[tuple[Record, Conversation]]:
        """The examples, each with a whole conversation."""
        for record, meant in self.examples:
            yield record, meant if isinstance(meant, Conversation) else Conversation(meant)

    def test_it_alone_recognises_its_records(self) -> None:
        """Else every user of such a file would have to say --format."""
        for record, _ in self.examples:
            by = [f.name for f in registry().all(DataFormat) if f.recognises(record)]
            assert by == [self.format], f"recognised by {' and '.join(by) or 'no format'}, not {self.format}: {record}"

    def test_it_recognises_nothing_else(self) -> None:
        for record in NOBODYS:
            assert not self.spec.recognises(record), f"{self.format} recognises a record that is nobody's: {record}"
        for name, record in USUAL.items():
            found, wanted = self.spec.recognises(record), name == self.format
            does = "recognises" if found else "does not recognise"
            assert found == wanted, f"{self.format} {does} a record of the format {name}: {record}"

    def test_records_become_conversations(self) -> None:
        for record, meant in self.meant():
            parsed = self.spec.parse(record)
            _same(parsed, meant, record)
            assert parsed.is_document == self.spec.documents, (
                f"the spec says documents={self.spec.documents}, and this record is the contrary: {record}"
            )

    def test_parsing_changes_no_record_and_gives_the_same_again(self) -> None:
        for record, _ in self.examples:
            before = deepcopy(record)
            first = self.spec.parse(record)
            assert record == before, f"parse changed its record: it was {before}, and is {record}"
            assert self.spec.parse(record) == first, f"parsed twice, this record gives two conversations: {record}"

    def test_what_cannot_be_used_is_refused_with_a_reason(self) -> None:
        for record in self.broken:
            said = or_reason(self.spec.parse, record)
            assert isinstance(said, str), f"parse takes a record that cannot be used, as {said}: {record}"
            assert is_sentence(said), f"parse refuses {record} with {said!r}, which is no sentence"

    def test_a_damaged_record_is_a_conversation_or_a_sentence(self) -> None:
        """Never another error, and never a conversation that holds anything but what its type says."""
        fields = tuple(self.spec.fields)

        def holds(record: Record) -> None:
            known = self.spec.recognises(record)
            assert isinstance(known, bool), f"recognises gives {known!r}, which is neither True nor False"
            try:
                parsed = or_reason(self.spec.parse, record)
            except Exception as error:
                said = f"{type(error).__name__}: {error}"
                raise AssertionError(f"parse must refuse with DataError, and raised {said}, on {record}") from error
            if isinstance(parsed, str):
                assert is_sentence(parsed), f"parse refuses {record} with {parsed!r}, which is no sentence"
            else:
                assert is_sound(parsed), f"a message holds something that its type does not allow: {parsed}"

        self._try(given(mutated([record for record, _ in self.examples], fields))(holds))

    @optional
    def test_its_examples_can_be_written(self) -> None:
        skip_unless(self.spec.write, "it does not say how it is written")
        for record, meant in self.meant():
            if self.spec.write is not None:
                self._reads_back(self.spec.write(self.spec.parse(record)), meant)

    @optional
    def test_what_is_written_reads_back(self) -> None:
        """``write`` says a conversation so that ``parse`` gives it again, or says why it cannot."""
        write = self.spec.write

        def holds(conversation: Conversation) -> None:
            assert write is not None
            record = or_reason(write, conversation)
            if isinstance(record, str):
                assert is_sentence(record), f"write refuses with {record!r}, which is no sentence"
            else:
                self._reads_back(record, conversation)

        skip_unless(write, "it does not say how it is written")
        if write is not None:
            self._try(given(conversations())(holds))

    def _reads_back(self, record: Record, meant: Conversation) -> None:
        again = json.loads(json.dumps(record))
        assert again == record, f"what is written is not JSON as it is read again: {record}"  # any file can hold it
        assert self.spec.recognises(again), f"{self.format} does not recognise what it wrote: {record}"
        _same(self.spec.parse(again), meant, record)

    def _try(self, property_: Callable[[], None]) -> None:
        settings(max_examples=self.tries, deadline=None, database=None)(property_)()


def or_reason(call: Callable[[Given], Result], value: Given) -> Result | str:
    """What a call gives, or the sentence with which it refuses."""
    try:
        return call(value)
    except DataError as error:
        return str(error)


def _same(parsed: Conversation, meant: Conversation, record: Record) -> None:
    assert parsed.messages == meant.messages, f"{record} means {meant.messages}, and became {parsed.messages}"
    assert parsed.tools == meant.tools, f"{record} has the tools {meant.tools}, and got {parsed.tools}"


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
