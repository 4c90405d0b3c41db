"""``graftlm adapters export``: an adapter as a folder or an archive that any tool reads."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from graftlm.contracts.errors import UsageError
from graftlm.running.out_folder import check_out, written
from graftlm_registry.adapters import open_store
from graftlm_registry.plugins import Registry

from .archive import SUFFIXES, check_archive, new_archive, pack, stem_of
from .licence import check_licence
from .portable import check_portable, is_local, write_portable

Form = Literal["peft", "ollama"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """``files`` are names and sizes in bytes; ``size`` is that of the folder, or of the archive itself. ``local`` is
    the path by which the record names the base, if it is one; ``notes`` are what whoever uses it must know.
    """

    adapter: str
    out: str
    form: Form
    digest: str
    base: str
    files: dict[str, int]
    size: int
    local: str = ""
    notes: tuple[str, ...] = ()


def export(
    name: str,
    out: Path,
    registry: Registry,
    *,
    archive: bool = False,
    licence: str = "",
    form: Form = "peft",
    ollama_base: str = "",
    with_notes: bool = False,
) -> Exported:
    """Write ``out``, a new folder, or with ``archive`` a new file. ``with_notes``: the adapter's are on the card."""
    if archive:
        check_archive(out)
    elif out.name.lower().endswith(SUFFIXES):
        raise UsageError(f"--out {out} is an archive by its name: add --archive, or give a folder")
    else:
        check_out(out)
    licence = check_licence(licence)
    store = open_store()
    record = store.get(name)
    check_portable(record, "export")
    notes: tuple[str, ...] = ()

    def fill(folder: Path) -> None:
        nonlocal record, notes
        if form == "ollama":
            from .ollama import write_ollama

            notes = write_ollama(record, store, folder, registry, ollama_base, licence, with_notes=with_notes)
        else:
            record = write_portable(record, store, folder, registry, licence, notes=with_notes)
            if record.load.rope is not None:
                notes = (
                    f"PEFT does not scale RoPE by itself: load the base with {record.load.rope}, as the card shows",
                )

    if archive:
        with tempfile.TemporaryDirectory(prefix="graftlm-") as made, new_archive(out) as partial:
            fill(Path(made))
            files = _sizes(Path(made))
            pack(Path(made), partial, stem_of(out), out.name)
    else:
        with written(out) as partial:
            fill(partial)
            files = _sizes(partial)
    reference = record.base.reference
    return Exported(
        adapter=record.reference,
        out=str(out),
        form=form,
        digest=record.digest,
        base=record.base.name,
        files=files,
        size=out.stat().st_size if archive else sum(files.values()),
        local=reference if form == "peft" and is_local(reference) else "",
        notes=notes,
    )


def _sizes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
