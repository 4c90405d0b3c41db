"""A JSON list of objects, decoded element by element out of a window that moves along the file."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from io import BufferedReader
from itertools import count
from typing import IO, Any

from graftlm.contracts.errors import DataError

from .json_lines import NOT_UTF8, TOO_DEEP, TOO_LONG, as_record, read_lines
from .lines import LONGEST, OVERLONG
from .opening import BOM
from .reading import Found

CHUNK = 1 << 20
HEAD = 1 << 16
"""Bytes that tell a list from lines."""
CUT = 16
"""Characters of the longest thing that can be cut in two and is no string: an escaped surrogate pair has 12."""
WRAPPER = re.compile(
    rb'\s*\{\s*"(data|rows|records|examples|samples|items|instances|train)"\s*:\s*(\[)\s*[{\]]', re.DOTALL
)
"""One object around the list. Names of turns ("messages") are not among these: such an object is a record itself."""

_white = re.compile(r"[ \t\r\n]*")
_decode = json.JSONDecoder().raw_decode


def read_json(stream: BufferedReader[Any], label: str) -> Iterator[Found]:
    """The records of a ``.json`` file: a list, one object with a list in it, or lines."""
    head = stream.read(HEAD).removeprefix(BOM)
    stream.seek(0)
    if head.lstrip().startswith(b"["):
        return read_list(stream, label)
    if match := WRAPPER.match(head):
        return read_list(stream, label, match[1].decode(), match.start(2))
    if head.lstrip().split(b"\n", 1)[0].strip() == b"{":
        line = head[: head.index(b"{")].count(b"\n") + 1
        why = "a JSON object over several lines: give a list of records ([{…}, {…}]), or one record a line"
        raise DataError(f"{label}:{line}: {why}")
    return read_lines(stream, label)


def read_list(
    stream: IO[bytes], label: str, field: str = "", opening: int = 0, *, chunk: int = CHUNK
) -> Iterator[Found]:
    """The elements of a list; of the list ``field`` of an object, whose bracket is character ``opening``, where given.

    A broken element ends it with a ``DataError``, since nothing tells where the next one begins.
    """
    window = Window(stream, label, chunk)
    while len(window.text) <= opening and window.more():
        pass
    window.at = opening
    window.skip_white()
    window.at += 1
    if window.next() == "]":
        window.at += 1
    else:
        yield from _elements(window)
    if field:
        if window.next() != "}":
            raise window.error(f"more than '{field}' in the object: give the list of records alone")
        window.at += 1
    if window.next():
        raise window.error("not valid JSON: more text behind the list")


def _elements(window: Window) -> Iterator[Found]:
    """Leaves the window behind the list's end. Where records share a line, all but its first say which they are."""
    before = ""
    for number in count(1):
        window.skip_white()
        place = window.place()
        yield as_record(_element(window)), f"{place} (record {number})" if place == before else place
        before = place
        following = window.next()
        if following not in (",", "]"):
            raise window.error("not valid JSON: expected ',' or ']' after a record")
        window.at += 1
        if following == "]":
            return


def _element(window: Window) -> Any:
    """The value at the window's place, which moves behind it."""
    while True:
        try:
            value, end = _decode(window.text, window.at)
        except json.JSONDecodeError as error:
            cut = error.pos >= len(window.text) - CUT or error.msg.startswith("Unterminated string")
            if cut and window.more():
                continue
            window.at = error.pos
            raise window.error(f"not valid JSON: {error.msg} (column {window.column()})") from None
        except RecursionError:
            raise window.error(TOO_DEEP) from None
        except ValueError:
            raise window.error(TOO_LONG) from None
        # An object or a list that decodes is whole; a number may go on.
        if end > len(window.text) - CUT and not isinstance(value, dict | list) and window.more():
            continue
        window.at = end
        return value


class Window:
    """A piece of a text. ``at`` is the place in ``text`` up to which it was read; what lies before may be dropped."""

    def __init__(self, stream: IO[bytes], label: str, chunk: int) -> None:
        self.text = ""
        self.at = 0
        self._stream, self._label, self._chunk = stream, label, chunk
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._line, self._counted = 1, 0
        self._column = 0  # characters of the window's first line that were dropped
        self._broken = False
        self._ended = False

    def more(self) -> bool:
        """Drop what was read and read on, doubling what is left so that a long record costs no more than its length;
        False at the end. ``DataError`` where too much is left.
        """
        if self._broken:
            self.at = len(self.text)
            raise self.error(NOT_UTF8)
        if self._ended:
            return False
        left = len(self.text) - self.at
        if left > LONGEST:
            raise self.error(f"a record {OVERLONG}")
        self._column = self.column() - 1
        self.place()
        self.text, self.at, self._counted = self.text[self.at :], 0, 0
        data = self._stream.read(max(self._chunk, min(left, LONGEST + 1 - left)))
        self._ended = not data
        try:
            self.text += self._decoder.decode(data, final=self._ended)
        except UnicodeDecodeError as error:  # what stands before it comes first
            self.text += error.object[: error.start].decode()
            self._broken = True
        return True

    def skip_white(self) -> None:
        """To the next character that is not white space, or the end."""
        while True:
            found = _white.match(self.text, self.at)
            self.at = found.end() if found else self.at
            if self.at < len(self.text) or not self.more():
                return

    def next(self) -> str:
        """The next character that is not white space; empty at the end."""
        self.skip_white()
        return self.text[self.at : self.at + 1]

    def place(self) -> str:
        """``file:line`` of ``at``, which never moves back."""
        self._line += self.text.count("\n", self._counted, self.at)
        self._counted = self.at
        return f"{self._label}:{self._line}"

    def column(self) -> int:
        """The column of ``at``, from 1."""
        last = self.text.rfind("\n", 0, self.at)
        return self.at - last if last >= 0 else self._column + self.at + 1

    def error(self, why: str) -> DataError:
        return DataError(f"{self.place()}: {why}")
