"""Hostile safetensors files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from good_adapter import GOOD, LAYER, Case, header_of, names, safetensors, tensors, write

FIRST = names()[0]


def raw(name: str, weights: bytes | Callable[[], bytes], says: str) -> Case:
    return Case(name, lambda folder: write(folder, weights=weights if isinstance(weights, bytes) else weights()), says)


def entry(name: str, says: str, **changes: Any) -> Case:
    """One entry of a sound header says something else; None takes a key out."""

    def build(folder: Path) -> Path:
        made = tensors()
        header = header_of(made)
        header[FIRST] = {key: value for key, value in (header[FIRST] | changes).items() if value is not None}
        return write(folder, weights=safetensors(header, data(made)))

    return Case(name, build, says)


def header(name: str, text: str | bytes, says: str, size: int = 0) -> Case:
    """A header as it is written, with zeros behind it."""
    return raw(name, safetensors(text.encode() if isinstance(text, str) else text, bytes(size)), says)


def called(name: str, tensor: str, says: str) -> Case:
    """A sound tensor with a hostile name."""
    one = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    return raw(name, lambda: safetensors(json.dumps({tensor: one}).encode(), bytes(4)), says)


def value(name: str, dtype: str, item: bytes, says: str = "not finite") -> Case:
    """One number that is none, at the end of a tensor."""
    size = len(item)
    one = {FIRST: {"dtype": dtype, "shape": [3], "data_offsets": [0, 3 * size]}}
    return raw(name, safetensors(one, bytes(2 * size) + item), says)


def data(made: dict[str, Any]) -> bytes:
    return b"".join(tensor.tobytes() for tensor in made.values())


def many(count: int, key: str = "data_offsets", item: str = '"shape":[0],"{}":[0,0]') -> bytes:
    part = item.format(key)
    return safetensors(("{" + ",".join(f'"t{i}":{{"dtype":"F32",{part}}}' for i in range(count)) + "}").encode())


def spread(places: list[tuple[int, int]], size: int) -> bytes:
    """Tensors of bytes at the given places."""
    made = {
        f"base_model.t{i}": {"dtype": "U8", "shape": [end - begin], "data_offsets": [begin, end]}
        for i, (begin, end) in enumerate(places)
    }
    return safetensors(made, bytes(size))


def late_nan() -> bytes:
    numbers = np.zeros(6_000_000, dtype=np.float32)
    numbers[-1] = np.nan
    return safetensors(header_of({FIRST: numbers}), numbers.tobytes())


def crowd(last: float) -> bytes:
    """The most tensors that are read, of one number each."""
    sides = [LAYER.format(i // 2, "q_proj", "AB"[i % 2]) for i in range(38_000)]
    numbers = {
        name: np.zeros((1, 1), dtype=np.float32) for name in (*sides, *(f"base_model.{i}" for i in range(27_000)))
    }
    numbers[sides[-1]] = np.full((1, 1), last, dtype=np.float32)
    return safetensors(header_of(numbers), data(numbers))


def crowded(name: str, last: float, says: str, **changes: Any) -> Case:
    return Case(name, lambda folder: write(folder, config=dict(GOOD) | changes, weights=crowd(last)), says)


ONE = '"dtype":"F32","shape":[1],"data_offsets":[0,4]'
CASES = [
    raw("nothing at all", b"", "cut short"),
    raw("seven bytes", bytes(7), "cut short"),
    raw("a header of no bytes", bytes(8), "cut short"),
    raw("a header of one byte", safetensors(b"{"), "cut short"),
    raw("a header of 2**64-1 bytes", b"\xff" * 200, "cut short"),
    raw("a header longer than the file", (1000).to_bytes(8, "little") + b"{}", "cut short"),
    raw("a header of 17 MiB", lambda: safetensors(b"{" + b" " * (17 << 20) + b"}"), "header of 17,"),
    raw("300,000 empty tensors in 20 MB", lambda: many(300_000), "header of|more than 65,536 tensors"),
    raw("150,000 empty tensors", lambda: many(150_000), "more than 65,536 tensors"),
    raw("150,000 empty tensors, spelled otherwise", lambda: many(150_000, "data\\u005foffsets"), "65,536 tensors"),
    raw("65,000 empty tensors", lambda: many(65_000), "does not begin with"),
    raw(
        "16 MiB of lists in the metadata",
        lambda: safetensors(b'{"__metadata__":{"a":[' + b"[]," * 5_000_000 + b"[]]}}"),
        "metadata",
    ),
    raw("16 MiB of lists in an entry", lambda: safetensors(b'{"a":[' + b"[]," * 5_000_000 + b"[]]}"), "no place"),
    raw(
        "16 MiB of one name",
        lambda: safetensors(b'{"' + b"a" * (15 << 20) + b'":{' + ONE.encode() + b"}}", bytes(4)),
        "512",
    ),
    raw("metadata nested a million deep", lambda: safetensors(b'{"__metadata__":' + b"[" * 1_000_000), "metadata"),
    raw("an entry nested deeply", lambda: safetensors(b'{"a":{"shape":' + b"[" * 900 + b"}"), "not JSON"),
    header("a list", "[]", "not a JSON object"),
    header("a word", '"words"', "not a JSON object"),
    header("a blank before the header", ' {"a":{' + ONE + "}}", "not a JSON object", 4),
    header("a byte order mark", "\ufeff{}", "not a JSON object"),
    header("noise", b"{\xff\xfe\xfa}", "UTF-8"),
    header("UTF-16", '{"a":1}'.encode("utf-16-le"), "not JSON"),
    header("half a character", '{"base_model.\\ud800":{' + ONE + "}}", "printed", 4),
    header("half a character in the metadata", '{"__metadata__":{"a":"\\ud800"}}', "half a character"),
    header("no tensors", "{}", "no tensors"),
    header("nothing but metadata", '{"__metadata__":{"format":"pt"}}', "no tensors"),
    header("metadata of numbers", '{"__metadata__":{"a":1}}', "metadata"),
    header("metadata that are a list", '{"__metadata__":["a"]}', "metadata"),
    header("metadata twice", '{"__metadata__":{},"__metadata__":{}}', "twice"),
    header("a key of the metadata twice", '{"__metadata__":{"a":"b","a":"c"}}', "each once"),
    header("a tensor twice", '{"a":{' + ONE + '},"a":{' + ONE + "}}", "twice", 4),
    header("a tensor twice, spelled otherwise", '{"a":{' + ONE + '},"\\u0061":{' + ONE + "}}", "twice", 4),
    header("a key of an entry twice", '{"a":{' + ONE + ',"shape":[1]}}', "each once", 4),
    header("something behind the header", '{"a":{' + ONE + "}} {}", "behind its end", 4),
    header("a NUL behind the header", '{"a":{' + ONE + "}}\0\0", "behind its end", 4),
    header("a comma too many", '{"a":{' + ONE + "},}", "not JSON", 4),
    header("no comma", '{"a":{' + ONE + '}"b":{' + ONE + "}}", "not JSON", 4),
    header("an open end", '{"a":{' + ONE + "}", "cut short", 4),
    header("an open name", '{"a', "cut short"),
    header("a number for an entry", '{"a":1}', "no place"),
    header("nothing for an entry", '{"a":null}', "no place"),
    header("an entry of no keys", '{"a":{}}', "no place"),
    entry("another key in an entry", "each once", stride=[1]),
    entry("no shape", "each once", shape=None),
    entry("no dtype", "each once", dtype=None),
    entry("no offsets", "each once", data_offsets=None),
    entry("an unknown dtype", "dtype", dtype="F31"),
    entry("a dtype in lower case", "dtype", dtype="f32"),
    entry("a number for a dtype", "dtype", dtype=32),
    entry("a list for a dtype", "dtype", dtype=["F32"]),
    entry("a dtype with escapes", "dtype", dtype="\x1b[2J"),
    entry("a negative shape", "shape", shape=[-4, -8]),
    entry("a shape of fractions", "shape", shape=[4.0, 8]),
    entry("a shape of truth values", "shape", shape=[True, 32]),
    entry("a shape of words", "shape", shape=["4", "8"]),
    entry("a shape that overflows to the right size", "shape", shape=[2**63, 2**63]),
    entry("a shape whose product wraps around", "room", shape=[2**61, 2**61, 4]),
    entry("a shape of 10**400", "not JSON|shape", shape=[10**400]),
    entry("a shape of nine dimensions", "shape", shape=[1] * 7 + [4, 8]),
    entry("a shape that is too large", "room", shape=[4, 9]),
    entry("a dtype that is too small", "room", dtype="F16"),
    entry("truth values for offsets", "whole numbers", data_offsets=[False, True]),
    entry("fractions for offsets", "whole numbers", data_offsets=[0.0, 128.0]),
    entry("words for offsets", "whole numbers", data_offsets=["0", "128"]),
    entry("one offset", "whole numbers", data_offsets=[0]),
    entry("three offsets", "whole numbers", data_offsets=[0, 64, 128]),
    entry("negative offsets", "whole numbers", data_offsets=[-128, 0]),
    entry("offsets that run backwards", "room", data_offsets=[128, 0]),
    entry("offsets of 2**64", "whole numbers", data_offsets=[2**64, 2**64 + 128]),
    entry("offsets behind the file", "cut short|belong", data_offsets=[1 << 40, (1 << 40) + 128]),
    entry("offsets over another tensor", "belong", data_offsets=[128, 256]),
    raw("two tensors in one place", spread([(0, 4), (0, 4)], 4), "belong"),
    raw("tensors that overlap by a byte", spread([(0, 5), (4, 8)], 8), "belong"),
    raw("a hole between tensors", spread([(0, 4), (5, 8)], 8), "belong"),
    raw("a hole before the first", spread([(1, 4)], 4), "belong"),
    raw("bytes behind the last", spread([(0, 4)], 5), "belong"),
    raw("the last byte is missing", spread([(0, 4)], 3), "cut short"),
    raw("a tensor without numbers", spread([(0, 0), (0, 4)], 4), "without numbers"),
    raw("empty tensors in one place", spread([(0, 0)] * 5 + [(0, 4)], 4), "without numbers"),
    raw("a header and none of its data", lambda: safetensors(header_of(tensors())), "cut short"),
    called("a name that climbs", "base_model.model.../../x", "path"),
    called("a name that is a path", "/etc/passwd", "path"),
    called("a name of Windows", "C:x", "path"),
    called("a name with a backslash", "base_model.model\\x", "path"),
    called("a name in a home", "~/x", "path"),
    called("no name", "", "empty"),
    called("a name of 513 characters", "a" * 513, "512"),
    called("a name with a NUL", "base_model.a\0b", "printed"),
    called("a name with a line break", "base_model.a\nb", "printed"),
    called("a name with an escape", "base_model.\x1b[31mred", "printed"),
    called("a name that turns the direction", "base_model.\u202egpj.exe", "printed"),
    called("a name of no width", "base_model.\u200ba", "printed"),
    called("a name in another form", "base_model.e\u0301", "normal form"),
    called("the weights of a whole model", "model.layers.0.q_proj.weight", "begin with"),
    called("a name like the metadata's", "__metadata__ ", "begin with"),
    value("NaN in F64", "F64", np.float64("nan").tobytes()),
    value("NaN in F32", "F32", np.float32("nan").tobytes()),
    value("a signalling NaN in F32", "F32", (0xFFA00001).to_bytes(4, "little")),
    value("infinity in F32", "F32", np.float32("-inf").tobytes()),
    value("NaN in F16", "F16", np.float16("nan").tobytes()),
    value("infinity in F16", "F16", np.float16("inf").tobytes()),
    value("NaN in BF16", "BF16", (0x7FC1).to_bytes(2, "little")),
    value("infinity in BF16", "BF16", (0xFF80).to_bytes(2, "little")),
    value("NaN in F8_E4M3", "F8_E4M3", b"\xff"),
    value("infinity in F8_E5M2", "F8_E5M2", b"\x7c"),
    value("NaN in F8_E5M2", "F8_E5M2", b"\x7e"),
    value("a truth value of 2", "BOOL", b"\2", "truth value"),
    value("complex numbers", "C64", bytes(8), "no adapter needs"),
    value("a rare type of eight bits", "F8_E8M0", b"\xff", "no adapter needs"),
    raw("NaN at the end of 24 MB", late_nan, "not finite"),
    crowded("NaN in the last of 65,000 tensors", float("nan"), "not finite"),
    crowded("65,000 tensors and a pattern that runs for ever", 0.0, "too much time", rank_pattern={r"([\w.]+)+!": 2}),
    crowded(
        "65,000 tensors and 999 patterns", 0.0, "too much time", rank_pattern={f"x[a-z]{i}": 2 for i in range(999)}
    ),
]
