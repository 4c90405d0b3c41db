"""What is asked of the files that a tuning method keeps: they are what was trained, and fit its base alone."""

from __future__ import annotations

from graftlm.contracts.errors import GraftlmError, RunError

from .gaps import optional, skip_unless
from .manners import is_sentence
from .tuned_models import TuningSuite


class KeptWeights(TuningSuite):
    def test_what_is_kept_is_what_was_trained(self) -> None:
        """Saved and put onto a fresh base: the same logits, in fp32 and in bf16. Safetensors and JSON alone."""
        for model, dtype in (*((model, "float32") for model in self.models), (self.models[0], "bfloat16")):
            folder, tuned = self.kept(f"{model}-{dtype}", model, dtype=dtype)
            kinds = sorted({path.suffix for path in folder.rglob("*") if path.is_file()} - {".json", ".safetensors"})
            assert not kinds, f"{self.who} keeps files of {', '.join(kinds)}: only safetensors and JSON are kept"
            again = self.tuner.apply(self.base(model, dtype), folder)
            left = [name for name, parameter in again.named_parameters() if parameter.requires_grad]
            assert not left, f"{self.who} leaves {left[0]} to be trained after 'apply'"
            lost = self.apart(tuned, self.logits(again))
            assert lost <= self.exact, (
                f"{self.who} keeps something else than it trained: on {model} in {dtype} the logits of what was saved "
                f"and read again differ by {lost:.2g} from what was in memory"
            )

    def test_what_is_kept_is_refused_by_another_base(self) -> None:
        skip_unless(len(self.models) > 1, "it trains one model alone")
        folder, _ = self.kept()
        other = self.models[-1]
        try:
            self.tuner.apply(self.base(other), folder)
        except GraftlmError as error:
            assert is_sentence(str(error)), f"{self.who} refuses another base in no sentence: {error}"
            return
        except Exception as error:
            raise AssertionError(
                f"{self.who} raises {type(error).__name__} where its files do not fit the base, not RunError: {error}"
            ) from error
        raise AssertionError(f"{self.who} puts what was trained on {self.models[0]} onto {other} and says nothing")

    @optional
    def test_peft_reads_what_is_kept(self) -> None:
        """An adapter is a folder that ``PeftModel.from_pretrained`` takes."""
        skip_unless(self.spec.keeps == "adapter", "it keeps an overlay")
        from peft import PeftModel

        folder, tuned = self.kept()
        try:
            read = PeftModel.from_pretrained(self.base(), folder)
        except Exception as error:
            raise AssertionError(f"PEFT cannot read what {self.who} keeps: {type(error).__name__}: {error}") from error
        lost = self.apart(tuned, self.logits(read))
        assert lost <= 10 * self.exact, f"PEFT reads what {self.who} keeps, and its logits differ by {lost:.2g}"

    def test_what_is_merged_answers_alike_or_it_is_refused(self) -> None:
        """As a plain model of the base's class, with which every other tool can go on."""
        folder, tuned = self.kept()
        own, base = self.tuner, self.base()
        try:
            merged = own.merge(own.apply(base, folder))
        except RunError as error:
            assert is_sentence(str(error)), f"{self.who} refuses to merge in no sentence: {error}"
            return
        plain = self.base()
        assert type(merged) is type(plain), (
            f"{self.who} merges into a {type(merged).__name__}, no {type(plain).__name__}"
        )
        names = sorted(set(dict(merged.named_parameters())) ^ set(dict(plain.named_parameters())))
        assert not names or names == ["lm_head.weight"], f"{self.who} merges into a model that differs in {names[0]}"
        lost = self.apart(tuned, self.logits(merged))
        assert lost <= self.merged, f"what {self.who} merged differs by {lost:.2g} in its logits from what was trained"

    def test_a_run_goes_on_from_what_was_kept(self) -> None:
        folder, tuned = self.kept()
        again = self.attached(seed=2, parent=folder)
        assert any(p.requires_grad for p in again.parameters()), (
            f"{self.who} goes on from an adapter and trains nothing"
        )
        lost = self.apart(tuned, self.logits(again))
        assert lost <= self.exact, (
            f"{self.who} goes on from something else than the parent: its logits differ by {lost:.2g} before a step"
        )
