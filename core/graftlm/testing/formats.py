"""What is asked of a data format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from graftlm.contracts.conversation import Message
from graftlm.contracts.errors import DataError
from graftlm.contracts.specs import DataFormat
from graftlm_registry.plugins import registry


class FormatSuite:
    """Subclass, name the format, and give records with what they mean."""

    data_format: ClassVar[str]
    examples: ClassVar[tuple[tuple[Mapping[str, Any], tuple[Message, ...]], ...]]
    """Records, each with the messages that it stands for."""
    broken: ClassVar[tuple[Mapping[str, Any], ...]] = ()
    """Records of this format that cannot be used: ``parse`` raises ``DataError``."""

    @property
    def spec(self) -> DataFormat:
        return registry().get(DataFormat, self.data_format)

    def test_it_recognises_its_records(self) -> None:
        for record, _ in self.examples:
            assert self.spec.recognises(record), record

    def test_nobody_else_recognises_its_records(self) -> None:
        """Else every user of such a file would have to say --format."""
        for record, _ in self.examples:
            others = [f.name for f in registry().all(DataFormat) if f.name != self.spec.name and f.recognises(record)]
            assert not others, record

    def test_it_does_not_recognise_anything(self) -> None:
        for record in ({}, {"text": "x"}, {"a": 1, "b": None}, {"messages": "x", "conversations": 3, "instruction": 4}):
            assert not self.spec.recognises(record), record

    def test_records_become_conversations(self) -> None:
        for record, messages in self.examples:
            assert self.spec.parse(record).messages == messages

    def test_parsing_changes_no_record(self) -> None:
        for record, _ in self.examples:
            before = repr(record)
            self.spec.parse(record)
            assert repr(record) == before

    def test_what_cannot_be_used_is_refused_with_a_reason(self) -> None:
        for record in self.broken:
            with pytest.raises(DataError, match=r"\w"):
                self.spec.parse(record)
