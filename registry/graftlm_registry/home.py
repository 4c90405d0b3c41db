"""Where graftlm keeps what it keeps."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def home() -> Path:
    """``$GRAFTLM_HOME``, or the platform's place for a user's data. It need not exist."""
    given = os.environ.get("GRAFTLM_HOME")
    if given:
        return Path(given).expanduser().resolve()
    from platformdirs import user_data_path

    return user_data_path("graftlm", appauthor=False)


def keep(path: Path, data: bytes) -> None:
    """Keep what can be found out again: whole or not at all, and not where it cannot be written."""
    fresh = beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with fresh.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError:  # only a later start is slower
        with suppress(OSError):
            fresh.unlink()


def beside(path: Path) -> Path:
    """A name of its own on the same file system, for what is being made."""
    return path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}")


def keep_folder(made: Path, folder: Path) -> None:
    """Make a folder the kept one, whole or not at all. Whoever was faster has made the same."""
    for path in made.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    try:
        made.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
        shutil.rmtree(made, ignore_errors=True)


def link(path: Path, target: Path) -> None:
    """The same file at another place: a link where the file system has them, so a later sweep takes nothing away. What
    is there stays.
    """
    try:
        os.link(path, target)
    except FileExistsError:
        return
    except OSError:
        with replaced(target) as fresh:
            shutil.copyfile(path, fresh)


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A file to write, which is put into the place of ``path`` when the block ends: nobody ever finds half of it."""
    fresh = beside(path)
    try:
        yield fresh
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def sweep(folder: Path, days: float = 30, most: int = 20_000_000_000) -> None:
    """Remove what nobody has used for so long, and beyond ``most`` bytes what was used longest ago. An entry's own time
    of change says when it was used last.
    """
    now, total = time.time(), 0
    for used, size, entry in sorted(
        filter(None, map(_entry, folder.iterdir() if folder.is_dir() else ())), reverse=True
    ):
        total += size
        if now - used > days * 86_400 or (total > most and now - used > 3600):
            _remove(entry)


def _entry(path: Path) -> tuple[float, int, Path] | None:
    """When it was used, its bytes, and where it is; None where another process was faster."""
    try:
        inside = [p.stat() for p in path.rglob("*")] if path.is_dir() else []
        whole = path.stat()
        return whole.st_mtime, whole.st_size + sum(facts.st_size for facts in inside), path
    except OSError:
        return None


def _remove(entry: Path) -> None:
    """Out of sight first: a removal that is cut short must not leave half of what looks whole."""
    gone = beside(entry)
    try:
        entry.rename(gone)
        shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
    except OSError:
        pass  # another process was faster, or the next sweep is
