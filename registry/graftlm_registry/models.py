"""Known base models: those that come with graftlm, and shapes of well-known ones."""

from __future__ import annotations

import json
from functools import cached_property, lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from graftlm.contracts.errors import ModelError
from graftlm.contracts.model import CatalogueEntry

from .retention import retention_text
from .suggestions import unknown


class BundledCatalogue:
    """Reads the cards in ``builtin/`` and the published configurations in ``shapes/``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def _shapes(self) -> dict[str, Any]:
        found = sorted((self.folder / "shapes").glob("*.json"))
        return {name: shape for path in found for name, shape in json.loads(path.read_text(encoding="utf-8")).items()}

    @cached_property
    def _cards(self) -> dict[str, Any]:
        found = sorted((self.folder / "builtin").glob("*/card.json"))
        return {path.parent.name: json.loads(path.read_text(encoding="utf-8")) for path in found}

    def names(self) -> tuple[str, ...]:
        return (*self._cards, *self._shapes)

    def card(self, name: str) -> dict[str, Any]:
        """The card of a built-in model: skills with scores, few-shot curves, recipe, seed, digest."""
        self.entry(name)
        if name not in self._cards:
            raise ModelError(f"{name} does not come with graftlm, so it has no card here")
        card: dict[str, Any] = self._cards[name]
        return card

    def published(self, name: str) -> str:
        """The number of parameters that the owners of a shape publish, in billions, as they write it."""
        self.entry(name)
        if name not in self._shapes:
            raise ModelError(f"{name} comes with graftlm, and nobody else publishes a figure for it")
        return str(self._shapes[name]["parameters"])

    def entry(self, name: str) -> CatalogueEntry:
        if name in self._cards:
            folder, card = self.folder / "builtin" / name, self._cards[name]
            return CatalogueEntry(
                name=name,
                summary=card["summary"],
                config=json.loads((folder / "config.json").read_text(encoding="utf-8")),
                tokenizer=folder,
                folder=folder,
                licence=card["licence"],
                suggestions=card["suggestions"],
                suites={path.stem: path for path in sorted((self.folder / "skills").glob("*.jsonl"))},
                retention=retention_text("small-world"),
            )
        if name in self._shapes:
            shape = self._shapes[name]
            return CatalogueEntry(
                name=name,
                summary=shape["summary"],
                config=shape["config"],
                tokenizer=self.folder / "builtin" / shape["tokenizer"],
                hub=shape["hub"],
                licence=shape["licence"],
            )
        raise ModelError(unknown("model", name, self.names()))


@lru_cache(maxsize=1)
def catalogue() -> BundledCatalogue:
    return BundledCatalogue(Path(str(files("graftlm_registry"))))
