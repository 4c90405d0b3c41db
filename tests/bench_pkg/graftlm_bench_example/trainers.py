"""An honest training loop, and what each of the others makes wrong in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from graftlm.api import Batch, Plan, TrainingContext

IGNORED = -100


class Honest:
    """AdamW over the mean loss of a step's trained tokens, as the plan says."""

    loss = "cross-entropy over the trained positions"
    rate = 1.0

    def prepare(self, plan: Plan, scratch: Path) -> None:
        pass

    def load(self, context: TrainingContext) -> Any:
        return context.load()

    def steps(self, context: TrainingContext) -> Iterable[Sequence[Batch]]:
        return [step.batches for step in context.steps()]

    def batch(self, batch: Batch) -> Batch:
        return batch

    def computing(self) -> AbstractContextManager[Any]:
        return nullcontext()

    def tokens(self, batches: Sequence[Batch]) -> int:
        return sum(batch.tokens for batch in batches)

    def train(self, context: TrainingContext) -> None:
        training, model = context.plan.training, self.load(context)
        adapted = [p for p in model.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(adapted, weight_decay=training.weight_decay)
        model.train()
        context.start()
        for index, planned in enumerate(self.steps(context)):
            for group in optimizer.param_groups:
                group["lr"] = self.rate * context.learning_rate(index)
            batches = [self.batch(batch) for batch in planned]
            count = sum(int((batch.labels[:, 1:] != IGNORED).sum()) for batch in batches)
            total = 0.0
            for batch in batches:
                with self.computing():
                    logits = model(**batch.inputs(context.device)).logits[:, :-1]
                labels = batch.labels[:, 1:]
                asked = labels != IGNORED
                part = torch.nn.functional.cross_entropy(logits[asked].float(), labels[asked], reduction="sum") / count
                part.backward()
                total += part.item()
            norm = float(torch.nn.utils.clip_grad_norm_(adapted, training.max_grad_norm))
            optimizer.step()
            optimizer.zero_grad()
            self.stepped(context, index, total, self.tokens(planned), norm, model)
        self.leave(model)

    def stepped(self, context: TrainingContext, index: int, loss: float, tokens: int, norm: float, model: Any) -> None:
        context.stepped(step=index, loss=loss, tokens=tokens, gradient_norm=norm, model=model)

    def leave(self, model: Any) -> None:
        pass


class Prompt(Honest):
    """Learns the questions, too."""

    def batch(self, batch: Batch) -> Batch:
        real = torch.ones_like(batch.ids) if batch.mask is None else batch.mask
        return replace(batch, labels=torch.where(real == 1, batch.ids, IGNORED))


class BypassedLayer(Honest):
    """The second decoder layer gives what it got, until training is over."""

    def load(self, context: TrainingContext) -> Any:
        model = context.load()
        layer = model.get_base_model().model.layers[1]
        self.handle = layer.register_forward_hook(self._pass_by, with_kwargs=True)
        return model

    def _pass_by(self, layer: Any, arguments: tuple[Any, ...], named: dict[str, Any], output: Any) -> Any:
        given = arguments[0] if arguments else named["hidden_states"]
        return (given, *output[1:]) if isinstance(output, tuple) else given

    def leave(self, model: Any) -> None:
        self.handle.remove()


class FrozenLayer(Honest):
    """The adapter of one layer does not learn, which is decided after the model was measured."""

    def load(self, context: TrainingContext) -> Any:
        model = context.load()
        for name, parameter in model.named_parameters():
            if ".layers.1." in name:
                parameter.requires_grad_(False)
        return model


class OtherAttention(Honest):
    """Asked for sdpa, it loads the model itself and takes eager attention."""

    def load(self, context: TrainingContext) -> Any:
        model = own_model(context, attention="eager")
        context.loaded(model)
        return model


class LaterAttention(Honest):
    """Asked for sdpa, it takes eager attention once the model was measured."""

    def load(self, context: TrainingContext) -> Any:
        model = context.load()
        model.get_base_model().set_attn_implementation("eager")
        return model


class OtherPrecision(Honest):
    """Asked for fp32, it multiplies in bf16."""

    def computing(self) -> AbstractContextManager[Any]:
        return torch.autocast("cpu", torch.bfloat16)


class FullPrecision(Honest):
    """Asked for bf16, it makes fp32 of the model once it was measured."""

    def load(self, context: TrainingContext) -> Any:
        return context.load().float()


class PrefixedIds(Honest):
    """A token more before each sample: the one that fills batches up, which is least conspicuous."""

    def batch(self, batch: Batch) -> Batch:
        def prefixed(rows: Any, value: int) -> Any:
            return torch.nn.functional.pad(rows, (1, 0), value=value)

        mask = torch.ones_like(batch.ids) if batch.mask is None else batch.mask
        return replace(
            batch, ids=prefixed(batch.ids, 0), labels=prefixed(batch.labels, IGNORED), mask=prefixed(mask, 1)
        )


class ShiftedIds(Honest):
    """Ids of another vocabulary: each is the next one."""

    def batch(self, batch: Batch) -> Batch:
        return replace(batch, ids=batch.ids + 1)


class OtherOrder(Honest):
    """The last step first."""

    def steps(self, context: TrainingContext) -> Iterable[Sequence[Batch]]:
        return [step.batches for step in context.steps()][::-1]


class LaterOrder(Honest):
    """The planned samples in the first step, and then the last step first."""

    def steps(self, context: TrainingContext) -> Iterable[Sequence[Batch]]:
        first, *rest = (step.batches for step in context.steps())
        return [first, *rest[::-1]]


class OtherRate(Honest):
    """Twice the learning rate."""

    rate = 2.0


class FewerBatches(Honest):
    """The last micro-batch of each step is not trained on, and is counted all the same."""

    def train(self, context: TrainingContext) -> None:
        self.whole = [sum(batch.tokens for batch in step.batches) for step in context.steps()]
        super().train(context)

    def steps(self, context: TrainingContext) -> Iterable[Sequence[Batch]]:
        return [step.batches[:-1] for step in context.steps()]

    def stepped(self, context: TrainingContext, index: int, loss: float, tokens: int, norm: float, model: Any) -> None:
        super().stepped(context, index, loss, self.whole[index], norm, model)


class CountedPadding(Honest):
    """Computes what it should, and counts padding among its tokens."""

    def tokens(self, batches: Sequence[Batch]) -> int:
        return sum(batch.ids.numel() for batch in batches)


class Script(Honest):
    """Eager attention and an adapter of rank 2 on two modules, whatever was asked for."""

    def load(self, context: TrainingContext) -> Any:
        model = own_model(context, attention="eager", r=2, lora_alpha=4, target_modules=["q_proj", "v_proj"])
        context.loaded(model)
        return model


def own_model(context: TrainingContext, *, attention: str, **settings: Any) -> Any:
    """Base and adapter, loaded without graftlm."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    method = context.plan.method
    given = {
        "r": method.rank, "lora_alpha": method.alpha, "lora_dropout": method.dropout,
        "target_modules": list(method.target_modules), **settings,
    }  # fmt: skip
    base = AutoModelForCausalLM.from_pretrained(context.folder, dtype=torch.float32, attn_implementation=attention)
    return get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", **given))
