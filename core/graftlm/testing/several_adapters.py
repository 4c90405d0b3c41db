"""What is asked of a tuning method whose adapters live beside each other on one base, or become one."""

from __future__ import annotations

from typing import Any

from graftlm.contracts.combining import CombinePlan
from graftlm.contracts.errors import GraftlmError
from graftlm.contracts.specs import Combination

from .gaps import optional, skip_unless
from .kept_weights import KeptWeights
from .manners import is_sentence

SWAPS = ("alone", "kind", "beside", "switch", "bare", "mixes", "rows")
"""What a ``SwappingTuner`` has beside a ``Tuner``; ``alone`` can be there alone."""
HYPERPARAMETERS = {"rank", "alpha", "dropout", "target_modules", "options"}


class SeveralAdapters(KeptWeights):
    """Checks of methods that say that they can."""

    @optional
    def test_adapters_live_beside_each_other(self) -> None:
        """Switched to and fro, each answers as it does alone, and the bare base as it always did."""
        self.needs_it_to_run()
        own = self.tuner
        has = [name for name in SWAPS if hasattr(own, name)]
        skip_unless(set(has) - {"alone"}, "its adapters answer alone")
        lacks = [name for name in SWAPS if name not in has]
        assert not lacks, f"{self.who} has {', '.join(has)} for several adapters on one base, and no {', '.join(lacks)}"
        kept = {name: self.kept(name, seed=seed) for name, seed in (("one", 1), ("other", 2))}
        why = own.alone(kept["one"][0])
        skip_unless(not why, why)
        kinds = {own.kind(folder) for folder, _ in kept.values()}
        assert len(kinds) == 1, f"{self.who} calls two adapters of the same settings {' and '.join(sorted(kinds))}"
        base = self.base()
        wanted = {"": self.logits(base), **{name: logits for name, (_, logits) in kept.items()}}
        model: Any = base
        for name, (folder, _) in kept.items():
            model = own.beside(model, folder, name)
        for name in ("one", "other", "", "one"):
            own.switch(model, name)
            lost = self.apart(wanted[name], self.logits(model))
            assert lost <= 10 * self.exact, (
                f"switched to {name or 'the bare base'}, {self.who} gives logits that differ by "
                f"{lost:.2g} from what that one gives alone"
            )
        lost = self.apart(wanted[""], self.logits(own.bare(model)))
        assert lost == 0, f"{self.who} leaves another base when its adapters are taken off: logits differ by {lost:.2g}"

    @optional
    def test_adapters_become_one(self) -> None:
        """In every way that it has: what is made is kept, answers as it did, and says what its settings are."""
        combining = self.spec.combining
        skip_unless(combining, "its adapters cannot be combined")
        if combining is None:
            return
        self.needs_it_to_run()
        parents = {name: self.kept(name, seed=seed)[0] for name, seed in (("one", 1), ("other", 2))}
        for way in combining.ways:
            who = f"{self.who}, combining by {way.name},"
            against = combining.check(way, 0, parents)
            assert not against, f"{who} has something against two adapters of the same settings: {'; '.join(against)}"
            base = self.base()
            made = self.tuner.combine(base, tuple(parents.values()), _plan(way))
            folder, logits = self.folder / f"by-{way.name}", self.logits(made)
            self.tuner.save(made, folder)
            lost = self.apart(logits, self.logits(self.tuner.apply(self.base(), folder)))
            assert lost <= self.exact, f"{who} keeps something else than it made: logits differ by {lost:.2g}"
            lacks = sorted(HYPERPARAMETERS - set(combining.settings(folder)))
            assert not lacks, f"{who} does not say what was made: {', '.join(lacks)} lacks in its settings"
        nowhere = {**parents, "nothing": self.folder / "nowhere"}
        try:
            reasons = combining.check(combining.ways[0], 0, nowhere)
        except GraftlmError as error:
            reasons = (str(error),)
        except Exception as error:
            raise AssertionError(f"{self.who} cannot check an empty folder: {type(error).__name__}: {error}") from error
        assert reasons, f"{self.who} has nothing against combining with a folder in which nothing is"
        assert all(map(is_sentence, reasons)), f"{self.who} says {reasons!r} against it, which is no sentence"


def _plan(way: Combination) -> CombinePlan:
    return CombinePlan(
        combination=way.name, weights=(0.7, 0.3), density=0.5 if way.density else None, seed=1 if way.random else None
    )
