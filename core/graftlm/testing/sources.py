"""What is asked of a source of models: it takes what is its own, brings little before a run, and the same each time."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any, ClassVar

from graftlm.contracts.config import SETTINGS
from graftlm.contracts.errors import GraftlmError, ModelError
from graftlm.contracts.model import ModelDescription, ModelRequest
from graftlm.contracts.specs import ModelSource
from graftlm.planning import base_model
from graftlm_registry.models import catalogue
from graftlm_registry.plugins import registry

from .gaps import optional, skip_unless
from .manners import is_sentence
from .short_runs import plan, trained
from .suite import Suite
from .surroundings import without_network

OTHERS = {"tiny-mistral": "built-in", "shape:mistral-7b": "shape", "./a-folder": "folder", "team/a-model": "hub"}
"""A reference of each source that comes with graftlm."""
ODD = (
    "", " ", "..", "../x", "x:y", ":", "acme:", "a b", "a\nb", "a\x00b", "\u00e4\u4e2d\U0001f984", "-", "--help", "%s",
    "~nobody", "a/b/c", "C:\\x", "file:///x", "@", "x" * 5000, "a/" * 500,
)  # fmt: skip
"""What somebody may type behind ``--model``."""
SECONDS = 0.05
"""That the answer whether a reference is a source's own may take."""
WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".gguf")


def lay_tiny_model(folder: Path) -> Path:
    """A copy of tiny-falcon, the smallest of the built-in models, as ``save_pretrained`` writes it."""
    known = catalogue().entry("tiny-falcon").folder
    assert known is not None
    shutil.copytree(known, folder)
    return folder


class SourceSuite(Suite):
    """Subclass, name the ``source``, and give ``references`` that it must take and bring (small models, here by
    themselves), and ``absent`` ones, which are its own by their form and not there.
    """

    kind = "source"
    needs = ("references", "absent")
    source: ClassVar[str]
    references: Sequence[str]
    absent: Sequence[str]
    refused: Sequence[str] = ()
    """References that are somebody else's, beside those of graftlm's own sources."""
    revision: str = ""
    """A revision of the first reference, where the source has revisions."""

    @property
    def spec(self) -> ModelSource:
        return registry().get(ModelSource, self.source)

    @property
    def who(self) -> str:
        return f"source '{self.source}'"

    def request(self, reference: str, *, cache: str = "cache", **settings: Any) -> ModelRequest:
        asked = base_model.request(reference, **settings)
        return replace(asked, cache=self.folder / cache)

    @property
    def given(self) -> Sequence[str]:
        self.needs_it_to_run()
        assert self.references, f"the suite of {self.who} gives no references: nothing can be asked of it"
        return self.references

    def described(self, asked: ModelRequest) -> ModelDescription:
        try:
            return self.spec.describe(asked)
        except GraftlmError as error:
            raise AssertionError(f"{self.who} cannot describe {asked.reference}: {error}") from error

    def test_it_takes_its_own_references_and_no_other(self) -> None:
        others = [reference for reference, name in OTHERS.items() if name != self.source]
        for reference in self.given:
            assert self.accepts(reference), f"{self.who} does not take {reference!r}, which is its own"
            first = base_model.source_of(self.request(reference), registry()).name
            assert first == self.source, (
                f"source '{first}' takes {reference!r} before {self.who} is asked: its rank must be lower than "
                f"{registry().get(ModelSource, first).rank}, or its references others"
            )
        for reference in (*others, *self.refused):
            whose = OTHERS.get(reference, "another")
            assert not self.accepts(reference), f"{self.who} takes {reference!r}, which belongs to source '{whose}'"
        for reference in self.absent:
            assert self.accepts(reference), (
                f"{self.who} does not take {reference!r}: then nobody says that it is not there"
            )

    def accepts(self, reference: str) -> bool:
        asked = self.request(reference)
        try:
            with without_network(f"{self.who}, asked whether it takes {reference!r},"):
                found = self.spec.accepts(asked)
        except AssertionError:
            raise
        except Exception as error:
            raise AssertionError(
                f"{self.who} raises {type(error).__name__} asked whether it takes {reference[:60]!r}: {error}"
            ) from error
        assert isinstance(found, bool), f"{self.who} answers {found!r} to {reference[:60]!r}: say True or False"
        return found

    def test_whatever_somebody_types_is_no_error(self) -> None:
        """Each source is asked about each reference: an exception here would stop models of others."""
        for reference in ODD:
            began = perf_counter()
            self.accepts(reference)
            took = min(perf_counter() - began, self._again(reference))
            assert took < SECONDS, f"{self.who} takes {took:.2f} s to say whether it takes {reference[:60]!r}"
        made = sorted(path.name for path in (self.folder / "cache").rglob("*"))
        assert not made, f"{self.who} makes {made[0]} where it is only asked whether it takes a reference"

    def _again(self, reference: str) -> float:
        began = perf_counter()
        self.accepts(reference)
        return perf_counter() - began

    def test_what_it_describes_can_be_planned(self) -> None:
        """A folder with the config and a tokenizer."""
        for reference in self.given:
            asked = self.request(reference)
            found = self.described(asked)
            folder = Path(found.folder)
            assert found.source == self.source, f"{self.who} describes a model of source {found.source!r}"
            assert found.model_type, f"{self.who} describes {reference} with a config that names no model_type"
            try:
                config = json.loads((folder / "config.json").read_bytes())
            except (OSError, ValueError) as error:
                raise AssertionError(f"{self.who} describes {reference} by a folder whose config: {error}") from error
            differs = sorted(
                key for key in config.keys() | dict(found.config).keys() if config.get(key) != found.config.get(key)
            )
            assert not differs, f"{self.who} describes {reference} with another {differs[0]} than its config.json has"
            assert (folder / "tokenizer.json").is_file(), f"{self.who} describes {reference} without a tokenizer.json"
            unknown = sorted(set(found.suggestions) - set(SETTINGS))
            assert not unknown, f"{self.who} suggests {', '.join(unknown)}, which is no setting of a run"
            planned = plan(self.folder, model=reference)
            assert not planned.problems, f"a plan for {reference} has problems: {'; '.join(planned.problems)}"
            assert planned.model.source == self.source, f"a plan for {reference} takes source '{planned.model.source}'"

    def test_it_brings_no_weights_before_a_run(self) -> None:
        """A plan must cost kilobytes, whatever the model's size."""
        for reference in self.given:
            self.described(self.request(reference))
            heavy = [path.name for path in (self.folder / "cache").rglob("*") if path.suffix in WEIGHTS]
            assert not heavy, f"{self.who} brings {heavy[0]} when {reference} is described: weights come with 'fetch'"

    def test_it_describes_the_same_each_time(self) -> None:
        """And into another cache."""
        for reference in self.given:
            found = [self.described(self.request(reference, cache=cache)) for cache in ("cache", "cache", "other")]
            for other in found[1:]:
                for name in ("name", "config", "revision", "weights", "suggestions"):
                    one, two = getattr(found[0], name), getattr(other, name)
                    assert one == two, (
                        f"{self.who} describes {reference} with another {name} the second time: {one} and {two}"
                    )
                one, two = (_small(Path(each.folder)) for each in (found[0], other))
                changed = sorted(name for name in one.keys() | two.keys() if one.get(name) != two.get(name))
                assert not changed, f"{self.who} gives another {changed[0]} of {reference} the second time"

    @optional
    def test_what_is_not_there_is_said(self) -> None:
        """As a ``ModelError`` with a sentence, with and without the network."""
        self.needs_it_to_run()
        skip_unless(self.absent, "whatever it takes is there, says its suite")
        for reference in self.absent:
            for offline in (False, True):
                said = f"{self.who}, asked for {reference!r}{' offline' if offline else ''}, which is not there,"
                try:
                    self.spec.describe(self.request(reference, offline=offline))
                except ModelError as error:
                    assert is_sentence(str(error)), f"{said} says {str(error)!r}, which is no sentence"
                    assert len(str(error).split()) > 3, f"{said} says {str(error)!r}, which helps nobody"
                except Exception as error:
                    raise AssertionError(f"{said} raises {type(error).__name__}, no ModelError: {error}") from error
                else:
                    raise AssertionError(f"{said} describes a model")

    def test_offline_it_stays_on_this_machine(self) -> None:
        """It describes and fetches what is there, or says that the network is needed, and does not touch it."""
        for reference in self.given:
            asked = self.request(reference, offline=True)
            for there in (False, True):
                try:
                    with without_network(f"{self.who}, offline,"):
                        self.spec.fetch(asked, self.spec.describe(asked))
                except ModelError as error:
                    said = f"{self.who} refuses {reference} offline"
                    assert not there, f"{said}, after it was fetched: {error}"
                    assert is_sentence(str(error)), f"{said} in no sentence: {error}"
                known = self.request(reference)
                self.spec.fetch(known, self.described(known))

    def test_what_it_fetches_is_the_model(self) -> None:
        """transformers loads it from the folder, and it is the config's."""
        import torch
        from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

        for reference in self.given:
            asked = self.request(reference)
            described = self.described(asked)
            folder = self.spec.fetch(asked, described)
            found = AutoConfig.from_pretrained(folder, local_files_only=True)
            assert found.model_type == described.model_type, (
                f"{self.who} describes a {described.model_type} model and fetches a {found.model_type} one"
            )
            AutoTokenizer.from_pretrained(folder, local_files_only=True)
            if described.weights != "files":
                continue
            assert any(Path(folder).glob("*.safetensors")), f"{self.who} fetches {reference} without *.safetensors"
            model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, dtype=torch.float32).eval()
            with torch.inference_mode():
                logits = model(input_ids=torch.tensor([[3, 4, 5]])).logits
            assert bool(torch.isfinite(logits).all()), f"{self.who} fetches weights of {reference} that are no numbers"

    def test_fetching_again_changes_no_file(self) -> None:
        """Another run may be reading them."""
        for reference in self.given:
            asked = self.request(reference)
            folders = []
            for _ in range(2):
                folder = Path(self.spec.fetch(asked, self.described(asked)))
                folders.append((folder, _times(folder)))
            (one, before), (other, after) = folders
            assert one == other, (
                f"{self.who} fetches {reference} into another folder the second time: {one} and {other}"
            )
            changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
            assert not changed, f"{self.who} writes {changed[0]} of {reference} once more when it is there already"

    @optional
    def test_a_revision_is_honoured(self) -> None:
        """The one that was asked for, and no other one in its stead."""
        reference = self.given[0]
        plain = self.described(self.request(reference))
        if not self.revision:
            assert not plain.revision, (
                f"{self.who} tells the revision {plain.revision!r} of {reference}: its suite must give one ('revision')"
            )
            skip_unless(False, "it has no revisions")
        asked = self.described(self.request(reference, revision=self.revision))
        assert asked.revision, f"{self.who} does not tell which revision {self.revision!r} of {reference} is"
        again = self.described(self.request(reference, revision=asked.revision))
        assert again.revision == asked.revision, f"{self.who} does not find {reference} by the revision that it told"
        nowhere = "no-such-revision"
        try:
            found = self.spec.describe(self.request(reference, revision=nowhere))
        except ModelError as error:
            assert is_sentence(str(error)), f"{self.who} refuses a revision in no sentence: {error}"
            return
        raise AssertionError(f"{self.who} gives {found.revision!r} of {reference} where '{nowhere}' is asked for")

    def test_a_whole_run_trains_what_it_brings(self) -> None:
        for reference in self.given[:1]:
            found = trained(plan(self.folder, model=reference, learning_rate=3e-3))
            base, losses = found.record.base, found.outcome.losses
            assert (base.reference, base.source) == (reference, self.source), (
                f"the record of a run on {reference} says that its base is {base.reference} of source '{base.source}'"
            )
            assert losses[-1] < losses[0], f"a run on {reference} learns nothing: {losses[0]:.4g} to {losses[-1]:.4g}"


def _small(folder: Path) -> Mapping[str, str]:
    """The digests of a folder's small files."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
        if path.is_file() and path.suffix not in WEIGHTS
    }


def _times(folder: Path) -> Mapping[str, tuple[int, int]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }
