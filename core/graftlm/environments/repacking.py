"""An installed distribution made a wheel again, so that another environment gets the very same files."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import zipfile
from collections.abc import Container, Iterable, Iterator, Mapping
from importlib.metadata import Distribution, PackagePath
from pathlib import Path

from graftlm.contracts.errors import RunError

OF_THE_INSTALLATION = ("INSTALLER", "REQUESTED", "direct_url.json", "RECORD", "RECORD.jws")


def repacked(found: Distribution, folder: Path) -> Path:
    """The wheel, written to ``folder``. What lies outside site-packages (scripts, which entry points make again) is
    left out. ``RunError`` where files that the distribution names are gone.
    """
    contents = dict(_installed(found))
    info = info_of(contents, "WHEEL")
    if not info:
        raise RunError(f"{found.name} is not installed from a wheel: install it again with pip")
    tag = _tag(contents[f"{info}/WHEEL"].decode())
    return write_wheel(contents, info, folder / f"{info.removesuffix('.dist-info')}-{tag}.whl", _executable(found))


def info_of(names: Iterable[str], file: str) -> str:
    """The wheel's own .dist-info folder, which has this file, or the empty string. What a package has vendored lies
    deeper.
    """
    own = f".dist-info/{file}"
    return next((name.partition("/")[0] for name in names if name.endswith(own) and name.count("/") == 1), "")


def _tag(wheel: str) -> str:
    """The tags of a WHEEL file as a file name has them: ``py2.py3-none-any`` for two lines."""
    lines = [line[4:].strip().split("-") for line in wheel.splitlines() if line.startswith("Tag:")]
    return "-".join(".".join(dict.fromkeys(parts)) for parts in zip(*lines, strict=True))


def _executable(found: Distribution) -> set[str]:
    return {str(file) for file in found.files or () if os.access(str(file.locate()), os.X_OK)}


def _files(found: Distribution) -> list[PackagePath]:
    """All that its record names. ``Distribution.files`` leaves out what is gone where the package importlib_metadata
    was imported, which puts itself in the place of Python's own.
    """
    record = found.read_text("RECORD")
    if record is None:
        return list(found.files or ())
    return [PackagePath(row[0]) for row in csv.reader(record.splitlines()) if row]


def _installed(found: Distribution) -> Iterator[tuple[str, bytes]]:
    for file in _files(found):
        name = str(file)
        if (
            name.startswith("..")
            or name.endswith(".pyc")
            or (len(file.parts) == 2 and ".dist-info/" in name and file.name in OF_THE_INSTALLATION)
        ):
            continue
        try:
            yield name, Path(str(found.locate_file(file))).read_bytes()
        except OSError as error:
            raise RunError(f"{found.name} is not whole here, {name} cannot be read: install it again") from error


def write_wheel(contents: Mapping[str, bytes], info: str, path: Path, executable: Container[str] = ()) -> Path:
    """A wheel with these files and a record of them; ``info`` is its .dist-info folder. Those that are ``executable``
    are installed so.
    """
    record = io.StringIO()
    lines = csv.writer(record, lineterminator="\n")
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in contents.items():
            found = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            lines.writerow((name, f"sha256={found}", len(data)))
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (0o100755 if name in executable else 0o100644) << 16
            archive.writestr(entry, data)
        lines.writerow((f"{info}/RECORD", "", ""))
        archive.writestr(f"{info}/RECORD", record.getvalue())
    return path
