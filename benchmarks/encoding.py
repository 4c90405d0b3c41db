"""Encoding conversations (render, tokenize, mask): graftlm against ``datasets.map`` with ``apply_chat_template``.

Both sides get the same tokenizer, a real one with its whole vocabulary (Mistral's v3 SentencePiece, or with
``--tokenizer tekken`` its byte-level successor), the same conversations, all cores, and write ids and the mask of what
the assistant says. They take turns in one run; ``datasets.map`` is measured one row at a time and in batches, and the
ratio is against the faster. At the end the second run of ``graftlm train``'s preparation, from what is kept.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "plugins" / "templates"))
HOME = tempfile.TemporaryDirectory(prefix="graftlm-bench-")
os.environ |= {
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
    "HF_HOME": HOME.name,
    "GRAFTLM_HOME": HOME.name,
}
os.environ["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"

from results import keep  # noqa: E402

GENERATION = {
    "mistral-v3": """{{- bos_token -}}{%- for turn in messages -%}{%- if turn.role == 'user' -%}
{{- '[INST] ' + turn.content + '[/INST]' -}}{%- else -%}{%- generation -%}{{- ' ' + turn.content + eos_token -}}
{%- endgeneration -%}{%- endif -%}{%- endfor -%}""",
    "mistral-v3-tekken": """{{- bos_token -}}{%- for turn in messages -%}{%- if turn.role == 'user' -%}
{{- '[INST]' + turn.content + '[/INST]' -}}{%- else -%}{%- generation -%}{{- turn.content + eos_token -}}
{%- endgeneration -%}{%- endif -%}{%- endfor -%}""",
}
TEMPLATES = {"v3": "mistral-v3", "tekken": "mistral-v3-tekken"}


def prose() -> list[str]:
    """English sentences, as they come with Python: its own reference."""
    from pydoc_data.topics import topics

    text = " ".join(re.sub(r"[*`|+=-]{2,}", " ", " ".join(topics.values())).split())
    return [s.strip() for s in re.split(r"(?<=[.:?])\s", text) if len(s.split()) > 3]


def conversations(count: int, seed: int = 0) -> list[list[tuple[str, str]]]:
    """(role, content) turns: one to four exchanges, turns of one to some thirty sentences, short ones the most."""
    rng, sentences = random.Random(seed), prose()

    def words(mean: float) -> str:
        return " ".join(rng.choices(sentences, k=min(30, 1 + int(rng.lognormvariate(mean, 0.9)))))

    return [
        [
            turn
            for _ in range(rng.choice((1, 1, 1, 2, 3, 4)))
            for turn in (("user", words(0.2)), ("assistant", words(0.9)))
        ]
        for _ in range(count)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--tokenizer", choices=sorted(TEMPLATES), default="v3")
    given = parser.parse_args()
    template = TEMPLATES[given.tokenizer]
    folder = Path(HOME.name) / "model"
    folder.mkdir()
    write_tokenizer(template, folder)
    rows = conversations(given.rows)
    ours, theirs = our_side(template, folder, rows), their_side(template, folder, rows)
    sides: dict[str, Callable[[], Any]] = {"graftlm": ours, **theirs}
    same(ours, theirs["datasets.map, rows"], folder)
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(given.rounds):
        for name, side in sides.items():
            began = time.perf_counter()
            side()
            seconds[name].append(time.perf_counter() - began)
            print(f"{name:24} {given.rows / seconds[name][-1]:9,.0f} conversations/s", flush=True)
    base = seconds["graftlm"]
    ratios = {
        name: statistics.median(other / own for own, other in zip(base, seconds[name], strict=True))
        for name in sides
        if name != "graftlm"
    }
    again = second_run(template, folder, rows)
    for name, ratio in ratios.items():
        print(f"graftlm is {ratio:.2f} times as fast as {name}")
    print(f"the second run, from what is kept: {again:.2f} s")
    figures = {name: [round(s, 2) for s in times] for name, times in seconds.items()}
    keep(
        f"encoding-{given.tokenizer}",
        {
            "rows": given.rows,
            "rounds": given.rounds,
            "characters": sum(len(words) for row in rows for _, words in row),
            "seconds": figures,
            "ratios": {name: round(ratio, 2) for name, ratio in ratios.items()},
            "second_run_seconds": round(again, 2),
        },
    )


def write_tokenizer(template: str, folder: Path) -> None:
    import json

    from mistral_tokenizers import ALL_TEKKEN_WORDS, definition, theirs

    (folder / "tokenizer.json").write_text(definition(template, theirs(template, folder, ALL_TEKKEN_WORDS - 1000)))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def our_side(template: str, folder: Path, rows: list[list[tuple[str, str]]]) -> Callable[[], Path]:
    """From the rows as the front wrote them to the encoded file."""
    from graftlm.contracts.conversation import Conversation, Message
    from graftlm.contracts.plan import EncodingPlan
    from graftlm.contracts.specs import PromptTemplate
    from graftlm.data.rows import write_row
    from graftlm.encoding.encode import Encoding, encode_file
    from graftlm.encoding.tokenizing import SpanTokenizer
    from graftlm_registry.plugins import registry

    source, target = folder / "rows.jsonl", folder / "rows.safetensors"
    turns = (tuple(Message(role, words) for role, words in row) for row in rows)  # type: ignore[arg-type]
    source.write_bytes(b"".join(write_row(Conversation(messages)) for messages in turns))
    encoding = Encoding(
        registry().get(PromptTemplate, template), SpanTokenizer.from_folder(folder), EncodingPlan(max_length=1 << 20)
    )

    def encode() -> Path:
        fresh = Encoding(encoding.template, SpanTokenizer.from_folder(folder), encoding.plan)  # knows no words yet
        encode_file(source, target, fresh, lambda done: None)
        return target

    return encode


def their_side(template: str, folder: Path, rows: list[list[tuple[str, str]]]) -> dict[str, Callable[[], Any]]:
    """``datasets.map``, one process a core, one row at a time and in batches of a thousand."""
    import datasets
    from transformers import PreTrainedTokenizerFast

    datasets.disable_progress_bars()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    tokenizer.chat_template = GENERATION[template]
    data = datasets.Dataset.from_list([{"messages": [{"role": r, "content": w} for r, w in row]} for row in rows])
    data.save_to_disk(str(folder / "data"))
    data = datasets.load_from_disk(str(folder / "data"))

    def encode(row: dict[str, Any]) -> dict[str, Any]:
        found = tokenizer.apply_chat_template(
            row["messages"], tokenize=True, return_dict=True, return_assistant_tokens_mask=True
        )
        return {"input_ids": found["input_ids"], "assistant_masks": found["assistant_masks"]}

    def side(batched: bool) -> Callable[[], Any]:
        return lambda: data.map(
            encode,
            batched=batched,
            num_proc=len(os.sched_getaffinity(0)),
            load_from_cache_file=False,
            remove_columns=["messages"],
        )

    return {"datasets.map, rows": side(False), "datasets.map, batches": side(True)}


def same(ours: Callable[[], Path], theirs: Callable[[], Any], folder: Path) -> None:
    """Both sides did the same work: the same ids but where one-piece tokenization merges across an answer's begin."""
    from graftlm.encoding.rows import load_rows

    encoded, mapped = load_rows(ours()), theirs()
    checked = range(0, len(encoded), max(1, len(encoded) // 2000))
    equal = trained = 0
    for i in checked:
        ids, labels = encoded.row(i)
        row = mapped[i]
        equal += ids.tolist() == row["input_ids"]
        trained += (labels != -100).astype(int).tolist() == row["assistant_masks"]
    print(f"of {len(checked)} rows, {equal} have the same ids and {trained} the same mask")
    if equal < 0.98 * len(checked) or trained < 0.98 * len(checked):
        sys.exit("the two sides did not do the same work, so their times say nothing")


def second_run(template: str, folder: Path, rows: list[list[tuple[str, str]]]) -> float:
    """Seconds from the data file to encoded rows in a run's folder, when all of it was done before."""
    import json
    from dataclasses import replace

    from graftlm.contracts.config import RunConfig
    from graftlm.planning.resolve import resolve
    from graftlm.running.rows import encode_rows, lay_out_rows
    from graftlm.running.worker_process import run_worker
    from graftlm_registry.plugins import registry

    data = folder / "data.jsonl"
    with data.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps({"messages": [{"role": r, "content": w} for r, w in row]}) + "\n")
    (folder / "config.json").write_text(json.dumps({"model_type": "mistral", "max_position_embeddings": 32768}))
    (folder / "chat_template.jinja").write_text(re.sub(r"\{%-? (end)?generation -?%\}", "", GENERATION[template]))
    config = RunConfig(
        data=str(data), model=str(folder), template=template, max_length=32768, allow_template_mismatch=True
    )
    took = 0.0
    for i in range(2):
        run = Path(HOME.name) / f"run-{i}"
        run.mkdir()
        began = time.perf_counter()
        plan = resolve(replace(config), registry())
        lay_out_rows(plan, registry(), run)
        encode_rows(plan, run, lambda event: None, run_worker)
        took = time.perf_counter() - began
    return took


if __name__ == "__main__":
    try:
        main()
    finally:
        HOME.cleanup()
