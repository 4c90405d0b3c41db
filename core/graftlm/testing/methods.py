"""What is asked of a tuning method: what it says is trained, that alone changes, and it learns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graftlm.contracts.config import SETTINGS
from graftlm.contracts.errors import RunError
from graftlm.contracts.model import FamilyFacts

from .gaps import optional, skip_unless
from .manners import is_sentence
from .several_adapters import SeveralAdapters
from .short_runs import plan, trained
from .situations import facts
from .tuned_models import CHANGED, KNOWN

if TYPE_CHECKING:
    import torch


class MethodSuite(SeveralAdapters):
    """Subclass and name the ``method``. ``learning_rate`` is one with which tiny models learn quickly."""

    # What it says

    def test_its_settings_are_ones_that_there_are(self) -> None:
        spec = self.spec
        assert spec.keeps in ("adapter", "overlay"), f"{self.who} keeps {spec.keeps!r}: say 'adapter' or 'overlay'"
        strange = sorted(set(spec.settings) - set(KNOWN))
        assert not strange, f"{self.who} has the setting {', '.join(strange)}, which there is not: make it an option"
        unknown = sorted(set(spec.suggestions) - set(SETTINGS))
        assert not unknown, f"{self.who} suggests {', '.join(unknown)}, which is no setting of a run"
        doubled = sorted({option.name for option in spec.options} & set(spec.settings))
        assert not doubled, f"{self.who} has the option {', '.join(doubled)}, which is a setting of it, too"

    @optional
    def test_what_speaks_against_a_plan_is_told_in_sentences(self) -> None:
        """And nothing speaks against its own defaults; a model that little is known of is no error."""
        check = self.spec.check
        skip_unless(check, "it checks nothing")
        if check is None:
            return
        about = {"a model that nothing is known of": FamilyFacts(attention=(), mlp=()), "a tiny model": facts()}
        about |= {model: self.facts(model) for model in self.models}
        for model, known in about.items():
            try:
                reasons = check(self.told(model if model in self.models else ""), known)
            except Exception as error:
                raise AssertionError(f"{self.who} cannot check {model}: {type(error).__name__}: {error}") from error
            for reason in reasons:
                assert is_sentence(reason), f"{self.who} says {reason!r} of {model}, which is no sentence"
            fine = self.spec.unavailable or model not in self.models or not reasons
            assert fine, f"{self.who} has something against its own defaults on {model}: {'; '.join(reasons)}"

    @optional
    def test_what_is_counted_is_what_is_trained(self) -> None:
        count = self.spec.trained
        skip_unless(count, "it does not count what it trains: a plan's estimate is of the whole model")
        if count is None:
            return
        for model in self.models:
            tuned, shape = self.attached(model), self.facts(model).shape
            if shape is None:
                continue
            found = sum(parameter.numel() for parameter in tuned.parameters() if parameter.requires_grad)
            said = count(shape, self.told(model))
            assert said == found, (
                f"{self.who} says that it trains {said:,} parameters of {model} ('trained'), and trains {found:,}: the "
                "plan's memory would be wrong"
            )

    # What it trains

    def test_what_is_trained_has_gradients(self) -> None:
        for model in self.models:
            tuned = self.attached(model)
            mine = {name: parameter for name, parameter in tuned.named_parameters() if parameter.requires_grad}
            assert mine, f"{self.who} trains nothing in {model}"
            self.train(tuned)
            dead = [n for n, p in mine.items() if p.grad is None or not float(p.grad.abs().max()) > 0]
            assert not dead, (
                f"{len(dead)} of {len(mine)} tensors that {self.who} trains in {model} get no gradient, the first "
                f"{dead[0]}"
            )

    def test_nothing_else_changes(self) -> None:
        """Neither by attaching and training nor by saving: an adapter leaves all of the base as it was."""
        import torch

        for model in self.models:
            self.needs_it_to_run()
            base = self.base(model)
            tensors = dict([*base.named_parameters(), *base.named_buffers()])
            before = {name: tensor.detach().clone() for name, tensor in tensors.items()}
            tuned = self.attached(model, base=base)
            overlaid = self.spec.keeps == "overlay"
            mine = {id(parameter) for parameter in tuned.parameters() if parameter.requires_grad and overlaid}
            self.train(tuned)
            self.tuner.save(tuned, self.folder / model)
            for name, tensor in tensors.items():
                if id(tensor) not in mine:
                    assert torch.equal(before[name], tensor), (
                        f"{self.who} changes {name} of {model}, which is not trained: nobody who has the base has that"
                    )

    def test_it_learns_and_has_an_effect(self) -> None:
        for model in self.models:
            tuned = self.attached(model)
            losses = self.train(tuned, 8)
            assert losses[-1] < losses[0], (
                f"{self.who} does not learn: eight steps on {model} at the rate {self.learning_rate} took its loss "
                f"from {losses[0]:.4g} to {losses[-1]:.4g}"
            )
            moved = self.apart(self.logits(tuned), self.logits(self.base(model)))
            assert moved > CHANGED, (
                f"{self.who} has no effect on {model}: its logits differ by {moved:.2g} from the base's"
            )

    def test_small_steps_are_not_lost_on_a_base_in_16_bits(self) -> None:
        tuned = self.attached(base=self._half())
        rounded = [name for name, p in tuned.named_parameters() if p.requires_grad and p.dtype.itemsize < 4]
        assert not rounded, (
            f"{self.who} trains {rounded[0]} in 16 bits on a base in bf16, where steps are smaller than what can be "
            "told apart: train it in fp32, and round it in 'save'"
        )

    def _half(self) -> Any:
        self.needs_it_to_run()
        return self.base(dtype="bfloat16")

    def test_the_same_seed_gives_the_same_start(self) -> None:
        import torch

        starts = []
        for _ in range(2):
            tuned = self.attached()
            starts.append({name: p.detach().clone() for name, p in tuned.named_parameters() if p.requires_grad})
        for name, tensor in starts[0].items():
            assert torch.equal(tensor, starts[1][name]), (
                f"{self.who} starts {name} from other numbers after the same seed: draw them by torch's own generator"
            )

    @optional
    def test_every_setting_does_something(self) -> None:
        """More rank, another alpha, dropout, other targets: two short trainings differ."""
        has = [name for name in self.spec.settings if name in KNOWN[:4]]
        skip_unless(has, "it has no settings")
        targets = self.facts(self.models[0]).default_targets
        others = {"rank": 8, "alpha": 32.0, "dropout": 0.5, "target_modules": targets[:1]}
        plain = self._trained_a_little()
        for name in has:
            other = self._trained_a_little(**{name: others[name]})
            assert self.apart(plain, other) > 0, (
                f"{self.who} passes {name} over: what is trained with {others[name]} is what is trained without"
            )

    def _trained_a_little(self, **settings: Any) -> torch.Tensor:
        tuned = self.attached(**settings)
        self.train(tuned, 2)
        return self.logits(tuned)

    @optional
    def test_its_targets_are_what_is_adapted(self) -> None:
        """By the last parts of their names, each as often as it is there; a name that matches nothing is refused."""
        skip_unless("target_modules" in self.spec.settings, "it has no targets")
        for model in self.models:
            targets, tuned = self.facts(model).default_targets[:2], None
            base = self.base(model)
            there = {name: sum(path.endswith(f".{name}") for path, _ in base.named_modules()) for name in targets}
            tuned = self.attached(model, base=base, target_modules=targets)
            found = self.tuner.adapted(tuned)
            assert found == there, f"{self.who} was to adapt {there} in {model}, and says that it adapted {found}"
        try:
            self.attached(target_modules=("no_such_proj",))
        except RunError as error:
            assert is_sentence(str(error)), f"{self.who} refuses a target in no sentence: {error}"
            return
        raise AssertionError(f"{self.who} takes the target 'no_such_proj', which no model has: it must raise RunError")

    @optional
    def test_lora_plus_finds_its_second_matrices(self) -> None:
        skip_unless("loraplus_ratio" in self.spec.settings, "it has no second matrices")
        from graftlm.worker.optimizing import parameter_groups

        try:
            groups = list(parameter_groups(self.attached(), 4.0))
        except RunError as error:
            raise AssertionError(f"{self.who} has the setting loraplus_ratio: {error}") from error
        assert len(groups) == 2, f"{self.who} has the setting loraplus_ratio, and {len(groups)} groups of parameters"

    def test_a_whole_run_learns_and_is_the_same_each_time(self) -> None:
        """Planned, trained, proved and published; twice, with one digest."""
        self.needs_it_to_run()
        found = []
        for _ in range(2):
            asked = {
                "method": self.method,
                "options": {"method": dict(self.options)},
                "learning_rate": self.learning_rate,
            }
            found.append(trained(plan(self.folder, **asked, model=self.models[0])))
        one, other = found
        losses, proof = one.outcome.losses, one.outcome.proof
        assert losses[-1] < losses[0], (
            f"{self.models[0]} does not learn by {self.who} at the rate {self.learning_rate}: its loss is "
            f"{losses[0]:.4g} in the first step and {losses[-1]:.4g} in the last"
        )
        record = one.record
        assert (record.method, record.kind) == (self.method, self.spec.keeps), (
            f"the record of a run of {self.who} says {record.method} and {record.kind}"
        )
        assert proof.base_before == proof.base_after, f"{self.who} changed the base's files"
        assert proof.effect > 0, f"what {self.who} kept has no effect"
        assert one.outcome.plan_hash == other.outcome.plan_hash, f"two plans of {self.who} are not the same work"
        assert one.outcome.digest == other.outcome.digest, (
            f"two runs of {self.who} with one plan keep different files: {one.outcome.digest[:12]} and "
            f"{other.outcome.digest[:12]}"
        )
