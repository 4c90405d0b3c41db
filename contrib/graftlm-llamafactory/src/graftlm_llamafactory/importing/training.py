"""The numbers of the optimisation: batches, steps, learning rates."""

from __future__ import annotations

import re
from pathlib import PurePath

from .imported import Keys

SCHEDULES = {
    "cosine": "cosine", "linear": "linear", "constant": "constant", "constant_with_warmup": "constant",
}  # fmt: skip


def read_training(keys: Keys) -> None:
    """LLaMA-Factory counts a batch per device and forward pass, graftlm per optimizer step."""
    micro = int(keys.number("per_device_train_batch_size", 8, whole=True, least=1))
    passes = int(keys.number("gradient_accumulation_steps", 1, whole=True, least=1))
    keys.set("micro-batch", micro, "per_device_train_batch_size")
    keys.set("batch-size", micro * passes, "gradient_accumulation_steps", "per_device_train_batch_size")
    keys.take("per_device_train_batch_size", "micro-batch, and batch-size with gradient_accumulation_steps")
    keys.result.remarks.append(
        f"batch-size {micro * passes}: of one device; on N devices LLaMA-Factory took N times as many samples a step"
    )
    rate = keys.number("learning_rate", 5e-5, above=True)
    if rate > 1:
        keys.leave("learning_rate", "graftlm takes 1 at most")
        rate = 5e-5
    keys.set("learning-rate", rate, "learning_rate")
    steps = _length(keys)
    _schedule(keys, steps)
    decay = keys.number("weight_decay", 0.0)
    if decay > 1:
        keys.leave("weight_decay", "graftlm takes 1 at most")
        decay = 0.0
    keys.set("weight-decay", decay, "weight_decay")
    if keys.get("max_grad_norm") in (0, 0.0, "0"):
        keys.leave("max_grad_norm", "0 clips nothing, and graftlm always clips: a large max-grad-norm does the same")
        keys.result.settings["max-grad-norm"] = 1e9
    else:
        keys.set("max-grad-norm", keys.number("max_grad_norm", 1.0, above=True), "max_grad_norm")
    keys.set("seed", int(keys.number("seed", 42, whole=True)), "seed")
    _validation(keys)
    _name(keys)


def _length(keys: Keys) -> int:
    """The optimizer steps, 0 where epochs say how many there are."""
    steps = keys.number("max_steps", -1, whole=True, least=-1)
    if steps > 0:
        keys.set("max-steps", int(steps), "max_steps")
        keys.leave("num_train_epochs", "max_steps is there too, and wins")
        return int(steps)
    keys.leave("max_steps", "it says that num_train_epochs counts")
    epochs = keys.number("num_train_epochs", 3.0, above=True)
    if epochs > 1_000_000:
        keys.leave("num_train_epochs", "graftlm takes a million at most")
        epochs = 3.0
    keys.set("epochs", epochs, "num_train_epochs")
    return 0


def _schedule(keys: Keys, steps: int) -> None:
    asked = keys.text("lr_scheduler_type", "linear").lower()
    if asked in SCHEDULES:
        keys.set("schedule", SCHEDULES[asked], "lr_scheduler_type")
    else:
        keys.result.settings["schedule"] = "cosine"
        keys.leave("lr_scheduler_type", f"graftlm has no {asked}: cosine is taken; linear and constant are there too")
    ratio, count = keys.number("warmup_ratio", 0.0), keys.number("warmup_steps", 0.0)
    if ratio > 1:
        keys.leave("warmup_ratio", "it is a share, from 0 to 1")
        ratio = 0.0
    if asked == "constant" and (ratio or count):
        for key in ("warmup_ratio", "warmup_steps"):
            keys.leave(key, "lr_scheduler_type constant has no warm-up, whatever is said")
        keys.result.settings["warmup"] = 0.0
    elif 0 < count < 1:  # newer files say a share here
        keys.set("warmup", count, "warmup_steps")
        keys.leave("warmup_ratio", "warmup_steps is there too, and wins")
    elif count and steps:
        keys.set("warmup", min(1.0, count / steps), "warmup_steps")
        keys.leave("warmup_ratio", "warmup_steps is there too, and wins")
    elif count:
        keys.leave("warmup_steps", "graftlm's warmup is a share of the steps: divide by the steps that the plan shows")
        keys.leave("warmup_ratio", "warmup_steps is there too, and wins")
        keys.result.settings["warmup"] = 0.0
    else:
        keys.set("warmup", ratio, "warmup_ratio", "warmup_steps")


def _validation(keys: Keys) -> None:
    """LLaMA-Factory trains on all rows but those of the validation."""
    share = keys.number("val_size", 0.0)
    if share >= 1 or share > 0.9:
        keys.leave("val_size", "graftlm takes a share of the rows, 0.9 at most: give val-split")
        share = 0.0
    keys.set("val-split", share, "val_size")
    keys.result.settings["test-split"] = 0.0
    keys.result.remarks.append(
        "test-split 0: all other rows are trained on, as LLaMA-Factory does; give test-split 0.1 to score rows that "
        "training never saw"
    )
    every = keys.number("eval_steps", 0, above=True)
    by = keys.text("eval_strategy", keys.text("evaluation_strategy", "steps" if "eval_steps" in keys else "no"))
    if "eval_steps" in keys and by == "steps" and float(every).is_integer() and every >= 1:
        keys.set("eval-every", int(every), "eval_steps", "eval_strategy", "evaluation_strategy")
        return
    keys.leave("eval_steps", "graftlm takes a whole number of steps: give eval-every; without, ten validations a run")
    for key in ("eval_strategy", "evaluation_strategy"):
        keys.leave(key, "graftlm validates ten times a run, or every eval-every steps")


def _name(keys: Keys) -> None:
    """The last part of the output folder that is not a word of LLaMA-Factory's own."""
    if "output_dir" not in keys:
        return
    parts = [part for part in PurePath(keys.text("output_dir")).parts if part.lower() not in ("sft", "lora", "saves")]
    words = re.sub(r"[^a-z0-9_-]+", "-", (parts[-1] if parts else "").lower()).strip("-_")
    if not words:
        keys.leave("output_dir", "graftlm keeps adapters by name: give name")
        return
    keys.set("name", words[:60].strip("-_"), "output_dir")
