"""The model card of an adapter: ``README.md``, from its record and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from graftlm.contracts.evaluated import EvaluationRecord
from graftlm.contracts.record import AdapterRecord
from graftlm.running.forgetting import forgetting, lost
from graftlm.running.score_words import change_words, with_interval

from .figures import score_rows
from .licence import front_matter, hub_id, licence_of
from .markdown import escaped, facts, line, table
from .usage import usage

SPLITS = ("train", "validation", "test")
SETTINGS = (
    ("rank", "rank"), ("alpha", "alpha"), ("dropout", "dropout"), ("target modules", "target_modules"),
    ("learning rate", "learning_rate"), ("schedule", "schedule"), ("steps", "steps"), ("epochs", "epochs"),
    ("samples a step", "batch_size"), ("tokens a step", "tokens_per_step"), ("seed", "seed"),
    ("longest sample in tokens", "max_length"),
    ("trained on", "train_on"), ("combination", "combination"), ("weights", "weights"), ("density", "density"),
    ("options", "options"),
)  # fmt: skip
"""Of a record's hyperparameters, with what the card calls them."""
LIST = "\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What a card is made of. ``licence`` is as its owner gives it, or empty for the base's. ``prompt`` is a question
    in the words of the record's template, or empty where only the base's own chat template can tell them.
    """

    record: AdapterRecord
    licence: str = ""
    prompt: str = ""
    evaluations: Sequence[EvaluationRecord] = ()
    notes: Sequence[str] = ()
    tags: Sequence[str] = ()


def model_card(card: Card) -> str:
    """The same card gives the same text."""
    record = card.record
    parts = [
        f"---\n{yaml.safe_dump(_head(card), sort_keys=False, allow_unicode=True, width=1000)}---",
        f"# {escaped(record.name)}",
        _what(record),
        "## Base model",
        _base(record),
        *_training(record),
        *_results(record),
        *_later(card.evaluations),
        *(["## Notes", "\n".join(f"- {line(note)}" for note in card.notes)] if card.notes else []),
        "## How to use it",
        *usage(record, card.prompt),
        "## Limits",
        _limits(record),
        "## Licence",
        _licence(card),
        "## Provenance",
        _provenance(card),
    ]
    return LIST.join(part.rstrip() for part in parts) + "\n"


def _head(card: Card) -> dict[str, Any]:
    record, hub = card.record, hub_id(card.record.base)
    return {
        **({"base_model": hub, "base_model_relation": "adapter"} if hub else {}),
        "library_name": "peft",
        "pipeline_tag": "text-generation",
        "tags": ["graftlm", record.method, *(["merge"] if record.origin == "combined" else [])],
        **front_matter(card.licence or licence_of(record.base)),
    }


def _what(record: AdapterRecord) -> str:
    base = escaped(record.base.name)
    if record.origin == "combined":
        of = ", ".join(map(escaped, record.parents))
        return f"An adapter for {base}, combined of {of} by graftlm {escaped(record.graftlm)}. Nothing was trained."
    if record.origin == "imported":
        found = f", found at {escaped(record.source)}" if record.source else ""
        return f"An adapter for {base}, made by another tool and imported into graftlm{found}."
    on = f" It goes on from {', '.join(map(escaped, record.parents))}." if record.parents else ""
    return f"An adapter for {base}, trained with {escaped(record.method)} by graftlm {escaped(record.graftlm)}.{on}"


def _base(record: AdapterRecord) -> str:
    base, effective = record.base, record.effective
    quantized = record.quantization
    if effective.quantized_layers:
        quantized += f", {effective.quantized_layers} of {effective.linear_layers} linear layers"
        quantized += f" ({effective.quantized_share:.0%} of the weights)"
    return facts(
        (
            ("name", f"{base.name} ({base.model_type}, {base.source})"),
            ("revision", base.revision),
            ("digest of its files", base.files_digest),
            ("digest of its weights as loaded", base.weights_digest),
            ("precision", base.dtype),
            ("quantization", quantized),
            ("RoPE scaling", record.load.rope or "none"),
            ("prompt template", f"{record.template} ({record.template_hash})"),
            ("tokenizer", record.tokenizer_hash),
        )
    )


def _training(record: AdapterRecord) -> list[str]:
    encoding = _mapping(record.hyperparameters.get("encoding")) if record.origin == "trained" else {}
    known: Mapping[str, Any] = {**record.hyperparameters, **encoding}
    settings = [(said, _words(known.get(key))) for said, key in SETTINGS]
    rows = [(name, record.split_rows[name]) for name in SPLITS if name in record.split_rows]
    parts = {
        "trained": "How it was trained",
        "imported": "What is known of its making",
        "combined": "How it was made",
    }
    made = [("method", record.method), *settings]
    if record.origin == "imported":
        said = ["graftlm did not train it: its data, its steps and its losses are not known.", facts(made)]
    elif record.origin == "combined":
        said = [facts([("combined of", ", ".join(record.parents)), *made])]
    else:
        losses = [("last loss", record.final_loss), ("validation loss", record.validation_loss)]
        shown = [(name, f"{loss:.4f}") for name, loss in losses if loss is not None]
        said = [
            facts([*made, *shown, ("device", record.device), ("environment", record.environment)]),
            "The data:",
            facts(
                [("digest", record.data_digest), ("rows", ", ".join(f"{count} {name}" for name, count in rows)),
                 ("digest of the plan", record.plan_hash)]
            ),
        ]  # fmt: skip
    return [f"## {parts[record.origin]}", *filter(None, said)]


def _results(record: AdapterRecord) -> list[str]:
    """Metrics before and after, and what was forgotten."""
    parts = ["## Results"]
    rows = score_rows(record.scores, record.changes)
    if rows:
        header = ("skill", "metric", "before", "after", "rows", "change")
        parts += [
            table(header, rows),
            "In brackets: 95% intervals. Changes of shares are in percentage points, on the same rows.",
        ]
    else:
        parts.append("It was not scored.")
    text, worse = forgetting(record.changes), lost(record.changes)
    if text is None:
        parts.append("What it cost the base was not measured.")
    else:
        held = "" if text.worse else "; no loss is shown"
        parts.append(f"Forgetting: {escaped(change_words(text))} nats a token on the retention text{held}.")
    if worse:
        named = ", ".join(f"{change.evaluation} {change_words(change)}" for change in worse)
        parts.append(f"Lost of what the base could do (percentage points): {escaped(named)}.")
    return parts


def _later(evaluations: Sequence[EvaluationRecord]) -> list[str]:
    parts = ["## Later evaluations"] if evaluations else []
    for one in evaluations:
        parts += [
            line(f"{one.created}, on {one.rows} rows ({one.digest}), by {', '.join(one.evaluators)}:"),
            table(
                ("rows", "metric", "score", "n"),
                [(score.evaluation, score.metric, with_interval(score), score.n) for score in one.scores],
            ),
        ]
    return parts


def _limits(record: AdapterRecord) -> str:
    said = [f"It fits {escaped(record.base.name)} with the digests above, and no other model."]
    if record.quantization != "none":
        said.append(
            f"It was trained on {escaped(record.quantization)} weights: on others its answers differ a little, and the "
            "results above are of those."
        )
    if record.load.rope is not None:
        said.append(f"The base must be loaded with RoPE scaling ({escaped(record.load.rope)}); PEFT does not do it.")
    said.append(f"It was made for prompts in the words of the template {escaped(record.template)}.")
    longest = _mapping(record.hyperparameters.get("encoding")).get("max_length")
    if record.origin == "trained" and longest:
        said.append(f"No sample was longer than {escaped(longest)} tokens.")
    if record.origin == "trained" and not record.split_rows.get("test"):
        said.append("No row was held out: nothing here says how it does on rows that it has not seen.")
    return "\n".join(f"- {limit}" for limit in said)


def _licence(card: Card) -> str:
    of_base = licence_of(card.record.base)
    if card.licence:
        also = f" The base is under {escaped(of_base)}." if of_base else " Look up that of the base as well."
        return f"{line(card.licence)}, as its owner says.{also}"
    if of_base:
        return f"{line(of_base)}, that of the base."
    return "None was given, and that of the base is not known here: ask its owner before you use it."


def _provenance(card: Card) -> str:
    record = card.record
    return facts(
        (
            ("adapter", f"{record.reference} ({record.origin})"),
            ("tags", ", ".join(card.tags)),
            ("digest", record.digest),
            ("created", record.created),
            ("run", record.run),
            ("parents", ", ".join(record.parents)),
            ("source", record.source),
            ("effect", f"changes the base's logits by up to {record.proof.effect:.3g}"),
            ("graftlm", record.graftlm),
            ("versions", ", ".join(f"{name} {version}" for name, version in record.effective.versions.items())),
        )
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _words(value: object) -> str:
    """Nothing where it is not set."""
    if isinstance(value, Mapping):
        return ", ".join(
            f"{key} {_words(each)}" for key, each in value.items() if each not in (None, False, "", [], {})
        )
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else "" if value is None else str(value)
