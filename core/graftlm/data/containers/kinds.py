"""What a file holds and how it is compressed, by the end of its name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal

Content = Literal["json-lines", "json", "csv", "tsv", "text", "parquet", "arrow"]
Compression = Literal["", "gzip", "zstd"]

CONTENTS: dict[str, Content] = {
    ".jsonl": "json-lines",
    ".ndjson": "json-lines",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".txt": "text",
    ".text": "text",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
}
COMPRESSIONS: dict[str, Compression] = {".gz": "gzip", ".gzip": "gzip", ".zst": "zstd", ".zstd": "zstd"}
BINARY: tuple[Content, ...] = ("parquet", "arrow")
"""Compressed inside: a Parquet file in gzip could only be read whole."""
SUFFIXES = tuple(CONTENTS)
BESIDE = {
    "config.json",
    "dataset_dict.json",
    "dataset_info.json",
    "dataset_infos.json",
    "license.txt",
    "readme.txt",
    "requirements.txt",
    "split.json",
    "state.json",
}
"""What stands beside the data in a folder and is none."""


@dataclass(frozen=True, slots=True)
class Kind:
    """``suffix`` is the part of the name that says what the file holds, in lower case (".jsonl" of "x.JSONL.gz")."""

    suffix: str
    content: Content
    compression: Compression


def kind_of(path: PurePath) -> Kind | None:
    """The kind of a file, or None where its name says none that is known."""
    name = PurePath(path.name.lower())
    compression = COMPRESSIONS.get(name.suffix, "")
    suffix = PurePath(name.stem).suffix if compression else name.suffix
    content = CONTENTS.get(suffix)
    if content is None or (compression and content in BINARY):
        return None
    return Kind(suffix, content, compression)


def is_data(path: PurePath) -> bool:
    """Whether a file in a folder is data: of a known kind, not hidden, and not a description."""
    name = path.name.lower()
    return kind_of(path) is not None and not name.startswith((".", "_")) and name not in BESIDE


def endings() -> str:
    """The known endings, for a sentence."""
    return f"{', '.join(SUFFIXES)} (the text ones also with .gz or .zst behind it)"
