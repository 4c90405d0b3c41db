"""RunConfig: what the user asked.

Every field is a flag of the command line and a key of the YAML file; the help, the range and the stated default live
here once. ``None`` means "not said": planning then takes the model's suggestion, or the default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

AUTO = "auto"
NONE = "none"
MOST = 2**31 - 1


def _setting(
    help: str,
    *,
    default: Any = None,
    group: str = "Training",
    minimum: float | None = None,
    maximum: float | None = None,
    above: float | None = None,
    choices: tuple[str, ...] = (),
    metavar: str = "",
    plugin: str = "",
    by_backend: bool = False,
    words: tuple[str, ...] = (),
) -> Any:
    metadata = {
        "help": help,
        "default": default,
        "group": group,
        "minimum": minimum,
        "maximum": maximum,
        "above": above,
        "choices": choices,
        "metavar": metavar,
        "plugin": plugin,
        "by_backend": by_backend,
        "words": words,
    }
    return field(default=None, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """What was asked of a run, unresolved."""

    data: str | None = _setting("What to train on: a file, a folder, a glob, - or hf:OWNER/NAME", group="Data")
    val_data: str | None = _setting("Validation data, instead of a share of DATA", group="Data", metavar="DATA")
    test_data: str | None = _setting("Test data, instead of a share of DATA", group="Data", metavar="DATA")
    val_split: float | None = _setting(
        "About this share of DATA is kept for validation", default=0.1, group="Data", minimum=0, maximum=0.9
    )
    test_split: float | None = _setting(
        "About this share of DATA is kept for the final test", default=0.1, group="Data", minimum=0, maximum=0.9
    )
    split_rule: str | None = _setting(
        "A split.json that 'graftlm data split' wrote: its thresholds decide, instead of the shares",
        group="Data",
        metavar="FILE",
    )
    split: str | None = _setting("Split of a hub data set (DATA is hf:OWNER/NAME)", group="Data", metavar="NAME")
    format: str | None = _setting("Data format", default=AUTO, group="Data", plugin="format")
    columns: str | None = _setting(
        "Columns of a table that are read as fields of a format, as input=question,output=reply",
        group="Data",
        metavar="FIELD=COLUMN,…",
    )
    data_size: int | None = _setting(
        "Train on this many rows of those that there are; fewer rows are among more",
        group="Data",
        minimum=1,
        maximum=MOST,
    )
    capability: str | None = _setting(
        "Train on the rows of this capability alone; all of them are scored", group="Data", metavar="NAME"
    )
    replay: str | None = _setting(
        "Rows that are mixed into the training, so that what they teach is not forgotten", group="Data", metavar="DATA"
    )
    replay_ratio: float | None = _setting(
        "Share of the training rows that are replayed", default=0.2, group="Data", above=0, maximum=0.9
    )
    max_length: int | None = _setting("Longest sample, in tokens", default=1024, group="Data", minimum=8, maximum=MOST)
    overlong: str | None = _setting(
        "What becomes of a longer row; a run stops where more than a tenth is lost (a long text without turns is "
        "always cut into several samples)",
        default="drop",
        group="Data",
        choices=("drop", "truncate-left", "truncate-right", "error"),
    )
    train_on: str | None = _setting(
        "What is supervised: every answer, the last one, or all text",
        default="assistant",
        group="Data",
        choices=("assistant", "last", "all"),
    )
    thinking: str | None = _setting(
        "Ask a reasoning model to reason, in training and when it is scored (auto: where the data holds thoughts)",
        default=AUTO,
        group="Data",
        choices=(AUTO, "on", "off"),
    )

    model: str | None = _setting(
        "Base model: a built-in name, a folder, a hub id, or shape:NAME", group="Model", metavar="M"
    )
    revision: str | None = _setting("Revision of a hub model", group="Model", metavar="REV")
    offline: bool | None = _setting("Use only what is on this machine", default=False, group="Model")
    family: str | None = _setting("Model family", default=AUTO, group="Model", plugin="family")
    template: str | None = _setting("Prompt template", default=AUTO, group="Model", plugin="template")
    allow_template_mismatch: bool | None = _setting(
        "Train with a template that renders otherwise than the model's own", default=False, group="Model"
    )
    dtype: str | None = _setting(
        "Precision of the base and of computing: bf16 has range, fp16 precision (for GPUs without bf16, as a T4)",
        default=AUTO,
        group="Model",
        choices=(AUTO, "fp32", "bf16", "fp16"),
    )
    quantization: str | None = _setting(
        "How the frozen base is stored: none, nf4 (int4), fp4, int8, torchao-int8",
        default="none",
        group="Model",
        plugin="quantization",
    )
    rope: str | None = _setting(
        "Scale RoPE for longer texts: linear:2, dynamic:2, yarn:4 (or linear, dynamic, yarn with --context-length)",
        group="Model",
        metavar="KIND[:X]",
    )
    context_length: int | None = _setting(
        "Positions that the model must have; works out the factor of --rope (linear where no kind is given)",
        group="Model",
        minimum=8,
        maximum=MOST,
    )
    trust_remote_code: bool | None = _setting(
        "Run the Python code that comes with the checkpoint", default=False, group="Model"
    )

    backend: str | None = _setting("What trains", default="peft", plugin="backend")
    accelerator: str | None = _setting(
        "Accelerators, joined by + (auto: the fastest sound ones)", default=AUTO, plugin="accelerator"
    )
    method: str | None = _setting("Tuning method", default="lora", plugin="method")
    device: str | None = _setting("Device", default=AUTO, choices=(AUTO, "cpu", "cuda", "mps"))
    epochs: float | None = _setting("Passes over the training data", default=3.0, above=0, maximum=1_000_000)
    max_steps: int | None = _setting("Optimizer steps, instead of epochs", minimum=1, maximum=MOST)
    batch_size: int | None = _setting("Samples an optimizer step", default=16, minimum=1, maximum=MOST)
    tokens_per_step: int | None = _setting(
        "Tokens an optimizer step, instead of samples: as many samples as come nearest (planning encodes the rows)",
        minimum=1,
        maximum=MOST,
        by_backend=True,
    )
    micro_batch: int | str | None = _setting(
        "Samples a forward pass (a divisor of the batch size; fewer by itself where the default would not fit into "
        "memory; auto: as many as fit)",
        default=8,
        minimum=1,
        maximum=MOST,
        words=(AUTO,),
    )
    optimizer: str | None = _setting("Optimizer", default="adamw", plugin="optimizer", by_backend=True)
    learning_rate: float | None = _setting("Peak learning rate", default=2e-4, above=0, maximum=1)
    schedule: str | None = _setting(
        "Learning rate after the warm-up: down to 0, to a tenth (cosine-with-min), or in the last fifth alone (wsd)",
        default="cosine",
        choices=("cosine", "linear", "constant", "inverse-sqrt", "polynomial", "cosine-with-min", "wsd"),
    )
    loraplus_ratio: float | None = _setting(
        "LoRA+: the rate of LoRA's second matrices, as a multiple of the others'",
        default=1.0,
        minimum=1,
        maximum=1000,
        by_backend=True,
    )
    warmup: float | None = _setting("Share of the steps that warm up", default=0.03, minimum=0, maximum=1)
    weight_decay: float | None = _setting("Weight decay of the optimizer", default=0.0, minimum=0, maximum=1)
    max_grad_norm: float | None = _setting("Gradient norm to clip at", default=1.0, above=0)
    label_smoothing: float | None = _setting(
        "Share of a label's probability that is spread over all words, in training alone",
        default=0.0,
        minimum=0,
        maximum=0.99,
        by_backend=True,
    )
    neftune_alpha: float | None = _setting(
        "NEFTune: noise on the embeddings in training, alpha / sqrt(tokens * width) at most (5 is usual)",
        default=0.0,
        minimum=0,
        maximum=1000,
        by_backend=True,
    )
    gradient_checkpointing: bool | None = _setting(
        "Compute activations twice instead of keeping them: less memory, about a third more time (on by itself where "
        "one sample would not fit into memory without)",
        default=False,
    )
    seed: int | None = _setting("Seed of order and initial weights", default=0, minimum=0, maximum=2**31 - 1)
    eval_every: int | None = _setting("Steps between validations (default: ten in a run)", minimum=1, maximum=MOST)

    checkpoint_every: int | None = _setting(
        "Keep a checkpoint after every N optimizer steps (beside the minutes; one is kept whenever a run is stopped)",
        minimum=1,
        maximum=MOST,
        by_backend=True,
    )
    checkpoint_minutes: float | None = _setting(
        "Keep a checkpoint every X minutes (0: only after --checkpoint-every, and when a run is stopped)",
        default=10.0,
        minimum=0,
        maximum=100_000,
        by_backend=True,
    )
    deterministic: bool | None = _setting(
        "Only kernels that give the same bits each time (a GPU may get slower), and nothing measured decides how",
        default=False,
    )
    early_stopping: int | None = _setting(
        "Stop after this many validations without a better loss", minimum=1, maximum=MOST, metavar="N", by_backend=True
    )
    keep: str | None = _setting(
        "The weights that are kept: those after the last step, or of the best validation (default: the last; with "
        "early stopping, the best)",
        choices=("best", "last"),
        by_backend=True,
    )

    from_adapter: str | None = _setting(
        "Go on from this adapter of the store: its base, method and template", group="Method", metavar="NAME[@N]"
    )
    rank: int | None = _setting("LoRA rank", default=16, group="Method", minimum=1, maximum=4096)
    alpha: float | None = _setting("LoRA alpha (scale = alpha / rank)", default=32.0, group="Method", above=0)
    dropout: float | None = _setting("LoRA dropout", default=0.0, group="Method", minimum=0, maximum=0.95)
    target_modules: str | None = _setting(
        "attention, mlp, all-linear, or module names joined by commas", default=AUTO, group="Method", metavar="NAMES"
    )

    evaluator: str | None = _setting(
        "Evaluators, joined by +", default="exact-match", group="Result", plugin="evaluator"
    )
    retention: bool | None = _setting(
        "Measure what the model forgets: loss on a text, and its old skills where they are known",
        default=True,
        group="Result",
    )
    retention_suite: str | None = _setting(
        "What must not be forgotten, instead of what comes with graftlm: texts, or questions with their answers",
        group="Result",
        metavar="DATA",
    )
    max_forgetting: float | None = _setting(
        "The loss on the retention text may rise by this much, in nats a token; more fails the run, which is kept",
        group="Result",
        minimum=0,
        maximum=100,
    )
    track: str | None = _setting(
        "Where the figures go while it runs, joined by +: csv, tensorboard, wandb, mlflow (options as --set "
        "tracker.project=NAME)",
        default=NONE,
        group="Result",
        plugin="tracker",
    )
    name: str | None = _setting("Name of the adapter", group="Result", metavar="NAME")
    out: str | None = _setting("Also write the adapter to this folder", group="Result", metavar="DIR")
    options: Mapping[str, Mapping[str, Any]] | None = field(default=None, metadata={"help": "Options of plugins"})

    def said(self) -> dict[str, Any]:
        """The fields that the user gave."""
        return {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) is not None}


SETTINGS: Mapping[str, Mapping[str, Any]] = {f.name: f.metadata for f in fields(RunConfig) if f.name != "options"}
"""Help, default, range and group of each setting, by name. ``by_backend``: only a backend that says so follows it;
``words`` may stand in place of a number."""

EXCLUSIVE = (
    ("epochs", "max_steps"), ("batch_size", "tokens_per_step"), ("val_split", "val_data"), ("test_split", "test_data"),
    ("val_split", "split_rule"), ("test_split", "split_rule"),
)  # fmt: skip
"""Pairs of settings that say the same thing in two ways."""

SUGGESTED = frozenset({"epochs", "max_steps", "learning_rate", "micro_batch", "max_length"})
"""Settings that a model's card may suggest, before the default."""
