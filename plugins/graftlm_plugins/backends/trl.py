"""The ``trl`` backend: TRL's SFTTrainer, on rows that are encoded already, in an environment of its own."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from graftlm.api import Backend, Environment, Option, RunError, hookimpl

from . import trainer_parts as parts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from graftlm.api import Plan, Situation, TrainingContext

IGNORED = -100


class TrlTrainer:
    """SFTTrainer as its users run it, as far as the numbers are the plan's.

    What stands: its head, which computes the losses in tiles and never holds all logits, entropy and accuracy of the
    tokens beside it (looked at, not trained on), its collator and sampler where it packs. The loss is the sum over the
    optimizer step's trained tokens, divided by their number, whatever the micro-batches. In 16 bits the head rounds at
    other places than transformers' (the first loss is the same, ten steps later it is 0.01 nats apart).

    What does not: the balancing loss that it adds for a mixture of experts; bf16 weights of an adapter on a quantized
    base (they are as precise as in any other backend); its telemetry.

    ``packing`` false: the plan's micro-batches in the plan's order. True: its own packing (best fit, decreasing) of the
    same samples into rows of the plan's longest length, drawn at random, positions starting anew at each sample; an
    optimizer step takes as many rows as come nearest to the plan's tokens.
    """

    loss = "TRL's head in tiles, cross-entropy over the trained positions"

    def prepare(self, plan: Plan, scratch: Path) -> None:
        os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"  # read when it is imported; TRL tells who trains what otherwise
        os.environ["HF_DATASETS_CACHE"] = str(scratch / "datasets")
        if not _packs(plan):
            return
        if plan.training.packing:
            raise RunError("an accelerator packs already: leave backend.packing out, or that accelerator")
        from .trl_packing import packing_reasons

        if reasons := packing_reasons(plan.model.facts, plan.load.attention):
            raise RunError(reasons[0])

    def train(self, context: TrainingContext) -> None:
        packing = _packs(context.plan)
        model = context.load(packing=packing)
        _check_head(model)
        with parts.forwards_restored(model):
            if packing:
                self._packed(context, model)
            else:
                self._as_planned(context, model)

    def _as_planned(self, context: TrainingContext, model: Any) -> None:
        from trl import SFTTrainer

        trainer = _trainer(parts.ordered(SFTTrainer), context, model, _rows(context), {}, max_length=None)
        trainer.micro_batches = parts.MicroBatches(context)
        steps = context.steps()
        parts.train(trainer, context, lambda step, logs: steps.tokens(step))

    def _packed(self, context: TrainingContext, model: Any) -> None:
        from trl import SFTTrainer, pack_dataset

        plan, samples, steps = context.plan, _rows(context), context.steps()
        lengths = samples.data["input_ids"].combine_chunks().value_lengths().to_numpy()
        if lengths.max() > plan.encoding.max_length:  # TRL would cut it
            raise RunError(f"a sample has {lengths.max()} tokens, more than {plan.encoding.max_length}")
        rows = pack_dataset(samples, plan.encoding.max_length, "bfd")
        from .trl_packing import packed_batches

        batches = packed_batches(
            rows=len(rows),
            tokens=int(lengths.sum()),
            planned=sum(map(steps.tokens, range(len(steps)))) / len(steps),
            batch_size=plan.training.batch_size,
            micro_batch=plan.training.micro_batch,
            attention=plan.load.attention,
        )
        print(
            f"packed {len(samples)} samples into {len(rows)} rows of at most {plan.encoding.max_length} tokens "
            f"({lengths.sum() / len(rows) / plan.encoding.max_length:.0%} full), {batches.rows} rows a step: "
            f"{batches.tokens:.0f} tokens a step, {batches.ratio:.2f} times the plan's {batches.planned:.0f}"
        )
        sizes = {"per_device_train_batch_size": batches.at_once, "gradient_accumulation_steps": batches.passes}
        trainer = _trainer(SFTTrainer, context, model, rows, sizes, packing=True, max_length=plan.encoding.max_length)
        seen = 0

        def tokens(step: int, logs: Mapping[str, float]) -> int:
            nonlocal seen  # TRL counts from the beginning
            before, seen = seen, int(logs["num_tokens"])
            return seen - before

        parts.train(trainer, context, tokens)


def _trainer(
    kind: Any, context: TrainingContext, model: Any, rows: Any, sizes: Mapping[str, int], **settings: Any
) -> Any:
    from trl import SFTConfig

    given = {**parts.arguments(context), **sizes, **settings}
    arguments = SFTConfig(
        **given,
        dataset_kwargs={"skip_prepare_dataset": True},  # the rows are ids and labels
        remove_unused_columns=False,
        gradient_checkpointing=False,  # the loaded model does it already, where the plan says so
        router_aux_loss_coef=0.0,
    )
    with _precision_kept(model):
        return kind(
            model=model,
            args=parts.one_device(arguments),
            train_dataset=rows,
            processing_class=_padding(),
            optimizers=parts.optimizers(context, model),
        )


def _rows(context: TrainingContext) -> Any:
    """All samples as a data set of ids and labels. The first token of a sample is never trained."""
    import pyarrow as pa
    from datasets import Dataset
    from safetensors.numpy import load_file

    encoded = load_file(context.encoded / "train.safetensors")
    offsets, labels = pa.array(encoded["offsets"]), encoded["labels"].copy()
    labels[encoded["offsets"][:-1]] = IGNORED
    columns = {"input_ids": encoded["ids"], "labels": labels}
    return Dataset(
        pa.table({name: pa.LargeListArray.from_arrays(offsets, pa.array(each)) for name, each in columns.items()})
    )


def _padding() -> Any:
    """SFTTrainer wants a tokenizer, and asks it for the id that pads alone: 0, as in our batches."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast

    only = Tokenizer(WordLevel({"<pad>": 0}, unk_token="<pad>"))
    return PreTrainedTokenizerFast(tokenizer_object=only, pad_token="<pad>")


@contextmanager
def _precision_kept(model: Any) -> Iterator[None]:
    """TRL rounds the adapter of a quantized base to bf16: the run's initial weights are others."""
    before = [(parameter, parameter.data) for parameter in model.parameters() if parameter.requires_grad]
    yield
    for parameter, data in before:
        parameter.data = data


def _check_head(model: Any) -> None:
    """TRL multiplies by the head's weight itself: an adapter there would be passed by."""
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils.other import TrainableTokensWrapper

    if isinstance(model.get_output_embeddings(), BaseTunerLayer | TrainableTokensWrapper):
        raise RunError(
            "TRL passes by what is adapted at the output head: leave it out of --target-modules, and "
            "method.trainable_token_indices where the head is tied to the embeddings"
        )


def _packs(plan: Plan) -> bool:
    return bool(plan.options.get("backend", {}).get("packing"))


def supports(situation: Situation) -> Sequence[str]:
    reasons = list(parts.unscaled(situation))
    if situation.facts.remote_code:
        reasons.append("TRL computes the head itself, and knows it of transformers' own architectures only")
    if situation.backend_options.get("packing"):
        from .trl_packing import packing_reasons

        reasons += packing_reasons(situation.facts, situation.attention)
    return reasons


def notes(situation: Situation) -> Sequence[str]:
    if not situation.backend_options.get("packing"):
        return ()
    return (
        "TRL packs: order and batches are its own, and a step takes the memory of rows of --max-length tokens, which "
        "the estimate does not count",
    )


def check(plan: Plan) -> Sequence[str]:
    """Its own packing would lay rows together that an accelerator has laid together."""
    if _packs(plan) and plan.training.packing:
        return ("backend.packing and an accelerator that packs exclude each other: leave one out",)
    return ()


@hookimpl
def graftlm_backends() -> Iterable[Backend]:
    yield Backend(
        name="trl",
        summary="TRL's SFTTrainer, with its own packing where asked",
        target="graftlm_plugins.backends.trl:TrlTrainer",
        packs=True,
        follows=parts.FOLLOWS,
        supports=supports,
        notes=notes,
        check=check,
        options=(
            Option(
                name="packing",
                type="bool",
                default=False,
                help="Pack samples into rows of --max-length tokens, as TRL's users do. Order and batches are TRL's.",
            ),
        ),
        environment=Environment(
            name="trl",
            requirements=(
                *(f"{needed.distribution}{needed.range}" for needed in parts.REQUIRES),
                "trl>=1.16,<1.17",
                "bitsandbytes>=0.50,<0.51",
            ),
            variables={"HF_HUB_DISABLE_TELEMETRY": "1"},
            download_mb=170,
            imports=("torch", "transformers", "peft", "trl"),
        ),
    )
