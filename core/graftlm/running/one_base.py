"""Who can answer on one base: it, and adapters that were trained on exactly it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from graftlm.contracts.config import AUTO
from graftlm.contracts.errors import UsageError
from graftlm.contracts.job import Answerer
from graftlm.contracts.load import LoadPlan
from graftlm.contracts.record import AdapterRecord
from graftlm.contracts.serving import Guest, ServeJob
from graftlm.planning import base_model, fingerprints
from graftlm_registry.adapters import open_store
from graftlm_registry.plugins import Registry

from .answer import is_adapter, refuse_other_words
from .answerers import of_adapter, of_model
from .stored import Stored, stored


@dataclass(frozen=True, slots=True)
class _Base:
    """A base as somebody wants it; ``who`` that is. ``weights`` is empty where only its files can say which it is."""

    who: str
    name: str
    files: str
    weights: str
    load: LoadPlan
    rope: Mapping[str, Any]

    def __str__(self) -> str:
        """Without its name, where that is who wants it."""
        how = [self.load.dtype]
        if self.load.quantization != "none":
            how.append(self.load.quantization)
        if self.load.rope is not None:
            how.append(f"RoPE {self.load.rope}")
        return f"{self.name} in {', '.join(how)}"

    @property
    def loaded(self) -> tuple[Any, ...]:
        """What must be equal of the way in which it is loaded. (The attention that computes is that of the first.)"""
        load = self.load
        return load.dtype, load.quantization, dict(load.options), load.rope, load.trust_remote_code

    def fits(self, other: _Base) -> bool:
        same = self.files == other.files and self.loaded == other.loaded
        known = bool(self.weights and other.weights)
        return same and (not known or (self.weights, dict(self.rope)) == (other.weights, dict(other.rope)))


class OneBase:
    """``name`` is an adapter or a model, ``adapters`` come beside it. All of them must be of one base.

    ``who`` is the one that was named, a reference or empty for the model itself; ``references`` are all adapters.
    ``apart``: the bare base will be asked too. ``verb`` is what an error tells to do with one at a time.
    """

    def __init__(
        self,
        name: str,
        adapters: Sequence[str],
        registry: Registry,
        *,
        template: str = AUTO,
        thinking: str = "",
        apart: bool = False,
        verb: str = "ask",
    ) -> None:
        self._registry, self._verb = registry, verb
        given = [name, *adapters] if is_adapter(name) else list(adapters)
        found = [self._stored(each) for each in given]
        self._overlay = next((each.record for each in found if each.record.kind == "overlay"), None)
        self.references = tuple(dict.fromkeys(each.record.reference for each in found))
        if len(self.references) > 1 or apart:
            self.refuse_alone()
        if is_adapter(name):
            refuse_other_words(found[0].record, template, thinking)
            self.who, self._base = self.references[0], _base_of(found[0])
            base = replace(of_adapter(found[0], registry), kept=None)
        else:
            base = of_model(name, registry, template, thinking)
            self.who, self._base = "", _base_of_model(name, base, registry)
            if found:
                theirs = _base_of(found[0])
                if self._base.files != theirs.files:
                    raise UsageError(f"{theirs.who} is of {theirs.name}, and {name} is another model: name one of them")
                self._base = theirs
                base = replace(base, model=str(found[0].folder), load=found[0].load, device=found[0].device)
        guests = {each.record.reference: self._guest(each) for each in found}
        self.job = ServeJob(who=base, guests=tuple(guests.values()), apart=apart)

    @property
    def name(self) -> str:
        """The base model's."""
        return self._base.name

    def takes(self, record: AdapterRecord) -> bool:
        """Whether an adapter can come to it, as far as the record tells."""
        mine = self._base
        theirs = replace(mine, files=record.base.files_digest, load=record.load)
        return record.kind == "adapter" and self._overlay is None and mine.fits(theirs)

    def refuse_alone(self) -> None:
        """``UsageError`` where one of the adapters leaves no base to be asked beside it."""
        if self._overlay is not None:
            _refuse_overlay(self._overlay)

    def guest(self, name: str) -> Guest:
        """One more adapter; ``UsageError`` where it is of another base, ``StoreError`` where there is none."""
        self.refuse_alone()
        found = self._stored(name)
        _refuse_overlay(found.record)
        return self._guest(found)

    def _stored(self, name: str) -> Stored:
        store = open_store()
        return stored(store.get(name), store, self._registry)

    def _guest(self, found: Stored) -> Guest:
        theirs, mine = _base_of(found), self._base
        if not mine.fits(theirs):
            raise UsageError(self._two_bases(mine, theirs))
        who = of_adapter(found, self._registry)
        return Guest(
            reference=found.record.reference,
            kept=found.kept,
            template=who.template,
            thinking=who.thinking,
            today=who.today,
        )

    def _two_bases(self, mine: _Base, theirs: _Base) -> str:
        if str(mine) == str(theirs):
            return f"{mine.who} and {theirs.who} are of {mine}, but not of the same weights: {self._verb} one at a time"
        of = "loaded" if mine.who == mine.name else "of"
        loaded = f"{mine.who} is {of} {str(mine).removeprefix(f'{mine.name} ') if of == 'loaded' else mine}"
        return f"{loaded}, {theirs.who} {'is ' if of == 'loaded' else ''}of {theirs}: {self._verb} one at a time"


def _base_of(found: Stored) -> _Base:
    record = found.record
    return _Base(
        who=record.reference,
        name=record.base.name,
        files=record.base.files_digest,
        weights=found.kept.weights_digest,
        load=found.load,
        rope=found.kept.rope,
    )


def _base_of_model(name: str, who: Answerer, registry: Registry) -> _Base:
    _, description = base_model.describe(base_model.request(name), registry)
    files = fingerprints.model_digest(description)
    return _Base(who=who.load.name, name=who.load.name, files=files, weights="", load=who.load, rope={})


def _refuse_overlay(record: AdapterRecord) -> None:
    if record.kind == "overlay":
        raise UsageError(
            f"{record.reference} (method {record.method}) replaces the base's own weights: it can only be used alone"
        )
