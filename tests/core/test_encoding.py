"""Rows become samples: lengths, labels, processes, and what is kept of them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

import graftlm_registry
from graftlm.api import Conversation, DataError, Message, PromptTemplate, RenderOptions, RunError, Span
from graftlm.contracts.outcome import EncodingCounts
from graftlm.contracts.plan import EncodingPlan
from graftlm.data.rows import write_row
from graftlm.encoding import encode as encode_module
from graftlm.encoding.encode import Encoding, encode_file
from graftlm.encoding.kept import is_kept, keep_staged, lay_out, read_counts, staging
from graftlm.encoding.losses import refuse_losses
from graftlm.encoding.rendering import render
from graftlm.encoding.rows import load_rows
from graftlm.encoding.tokenizing import IGNORED, SpanTokenizer
from graftlm.encoding.word_cache import WordCache, can_cut
from graftlm_registry.home import sweep
from graftlm_registry.plugins import registry

BUILTIN = Path(graftlm_registry.__file__).parent / "builtin"
MODELS = {"tiny-mistral": "mistral-v3", "tiny-qwen": "qwen3", "tiny-falcon": "falcon-instruct"}
TOKENIZERS = {name: SpanTokenizer.from_folder(BUILTIN / name) for name in MODELS}
PLAN = EncodingPlan(max_length=64)
SILENT: Callable[[int], None] = lambda rows: None


def template(model: str) -> PromptTemplate:
    return registry().get(PromptTemplate, MODELS[model])


def encoding(model: str = "tiny-mistral", plan: EncodingPlan = PLAN) -> Encoding:
    return Encoding(template(model), TOKENIZERS[model], plan)


def pair(question: str, answer: str, train: bool | None = None) -> Conversation:
    return Conversation((Message("user", question), Message("assistant", answer, train)), "d.jsonl:1")


def document(text: str) -> Conversation:
    return Conversation((Message("document", text),), "d.txt:1")


def encoded(rows: Sequence[Conversation], folder: Path, plan: EncodingPlan = PLAN, model: str = "tiny-mistral") -> Any:
    source = folder / "rows.jsonl"
    source.write_bytes(b"".join(map(write_row, rows)))
    counts = encode_file(source, folder / "rows.safetensors", encoding(model, plan), SILENT)
    return counts, load_rows(folder / "rows.safetensors")


LONG = "word " * 100


@pytest.mark.parametrize("model", MODELS)
def test_a_file_holds_what_the_tokenizer_gives(model: str, tmp_path: Path) -> None:
    rows = [pair(f"question {i}", f"answer {i * 7}") for i in range(40)]
    counts, found = encoded(rows, tmp_path, replace(PLAN, max_length=512), model)
    assert (counts.rows, counts.used, counts.samples, len(found)) == (40, 40, 40, 40)
    for i, row in enumerate(rows):
        whole = TOKENIZERS[model].encode(template(model).render(row, RenderOptions()))
        ids, labels = found.row(i)
        assert (ids.tolist(), labels.tolist()) == (whole.ids, whole.labels)
        assert found.rows[i] == i
    assert counts.tokens == len(found.ids)
    assert counts.trained_tokens == int((found.labels != IGNORED).sum())
    arrays = load_file(tmp_path / "rows.safetensors")  # any reader of safetensors sees the same
    assert all(np.array_equal(arrays[n], getattr(found, n)) for n in ("ids", "labels", "offsets", "rows"))


def test_several_processes_give_the_same_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [pair(f"question {i} " + "x" * (i % 17), f"answer {i}") for i in range(999)]
    plan = replace(PLAN, max_length=512)
    (tmp_path / "one").mkdir()
    (tmp_path / "three").mkdir()
    one, _ = encoded(rows, tmp_path / "one", plan)
    monkeypatch.setattr(encode_module, "WORTHWHILE", 1000)
    monkeypatch.setattr(encode_module, "_cores", lambda: 3)
    three, _ = encoded(rows, tmp_path / "three", plan)
    same = [(tmp_path / name / "rows.safetensors").read_bytes() for name in ("one", "three")]
    assert same[0] == same[1]
    assert replace(one, compared=0, differing=0) == replace(three, compared=0, differing=0)
    assert sorted(p.name for p in (tmp_path / "three").iterdir()) == ["rows.jsonl", "rows.safetensors"]


def test_an_error_in_another_process_arrives_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encode_module, "WORTHWHILE", 100)
    monkeypatch.setattr(encode_module, "_cores", lambda: 2)
    rows = [*(pair(f"q {i}", "a") for i in range(50)), replace(pair(LONG, "a"), source="d.jsonl:51")]
    with pytest.raises(DataError, match=r"d\.jsonl:51: \d+ tokens, and --max-length is 64"):
        encoded(rows, tmp_path, replace(PLAN, overlong="error"))


def test_a_process_that_dies_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encode_module, "WORTHWHILE", 100)
    monkeypatch.setattr(encode_module, "_cores", lambda: 2)
    monkeypatch.setattr(encode_module, "_encode_part", lambda *_: os._exit(9))
    with pytest.raises(RunError, match="died"):
        encoded([pair(f"q {i}", "a") for i in range(50)], tmp_path)


# ── longer rows ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_longer_row_is_left_out_and_counted(tmp_path: Path) -> None:
    counts, found = encoded([*(pair(f"q {i}", "a") for i in range(19)), pair(LONG, "a")], tmp_path)
    assert (counts.used, counts.too_long, counts.truncated) == (19, 1, 0)
    assert found.rows.tolist() == list(range(19))


@pytest.mark.parametrize(
    ("counts", "reason"),
    [
        ({"train": EncodingCounts(rows=10, samples=7, too_long=3)}, "3 of 10 rows are longer than --max-length 64"),
        ({"train": EncodingCounts(rows=10, samples=7, nothing_trained=3)}, "3 of 10 rows have nothing to train on"),
        (
            {"train": EncodingCounts(rows=99, samples=99), "validation": EncodingCounts(rows=2, too_long=2)},
            "none of the 2 validation rows can be trained on: 2 are longer",
        ),
    ],
)
def test_too_many_lost_rows_are_an_error(counts: dict[str, EncodingCounts], reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        refuse_losses(counts, 64)


def test_a_few_lost_rows_are_none() -> None:
    """One of six validation rows is more than a tenth of them, and little of all."""
    few = EncodingCounts(rows=6, samples=5, too_long=1)
    refuse_losses({"train": EncodingCounts(rows=241, samples=241), "validation": few}, 64)


@pytest.mark.parametrize("length", [65, 127, 128, 190])
def test_no_token_of_a_text_is_left_unpredicted(length: int, tmp_path: Path) -> None:
    """At every length, its last token, which ends the text, too."""
    words = [f"w{i}" for i in range(length)]
    tokenizer, spec = TOKENIZERS["tiny-mistral"], template("tiny-mistral")
    _, found = encoded([document(" ".join(words))], tmp_path)
    whole = tokenizer.encode(render(spec, document(" ".join(words)), RenderOptions()))
    assert sum(found.trained(i) for i in range(len(found))) == len(whole.ids) - 1
    assert found.row(len(found) - 1)[0][-1] == tokenizer.control_id("</s>")


@pytest.mark.parametrize("overlong", ["truncate-right", "truncate-left"])
def test_a_longer_row_is_cut_and_counted(overlong: Any, tmp_path: Path) -> None:
    """What every text begins with stays in front."""
    rows = [pair("short", "a"), pair("count", LONG)]
    counts, found = encoded(rows, tmp_path, replace(PLAN, overlong=overlong))
    whole = TOKENIZERS["tiny-mistral"].encode(template("tiny-mistral").render(rows[1], RenderOptions()))
    assert (counts.used, counts.too_long, counts.truncated) == (2, 0, 1)
    right = overlong == "truncate-right"
    assert found.row(1)[0].tolist() == (whole.ids[:64] if right else whole.ids[:1] + whole.ids[-63:])
    assert found.row(1)[1].tolist() == (whole.labels[:64] if right else whole.labels[:1] + whole.labels[-63:])


def test_a_row_whose_answer_is_cut_off_teaches_nothing(tmp_path: Path) -> None:
    rows = [*(pair(f"q {i}", "a") for i in range(19)), pair(LONG, "a")]
    counts, _ = encoded(rows, tmp_path, replace(PLAN, overlong="truncate-right"))
    assert (counts.used, counts.nothing_trained, counts.truncated) == (19, 1, 0)


def test_a_long_text_goes_on_in_the_next_sample(tmp_path: Path) -> None:
    """Nothing of it is lost, whatever --overlong says."""
    text = " ".join(f"word{i}" for i in range(200))
    counts, found = encoded([document(text), document("short")], tmp_path, replace(PLAN, overlong="error"))
    tokenizer = TOKENIZERS["tiny-mistral"]
    whole = tokenizer.encode(render(template("tiny-mistral"), document(text), RenderOptions()))
    pieces = [found.row(i)[0].tolist() for i in range(len(found)) if found.rows[i] == 0]
    assert [*pieces[0][:1], *(token for piece in pieces for token in piece[1:])] == whole.ids  # each predicted once
    assert counts.rows == counts.used == 2
    assert counts.samples == len(found) == len(pieces) + 1
    assert all(len(piece) <= 64 for piece in pieces)


def test_a_document_is_all_answer_and_ends() -> None:
    tokenizer, spec = TOKENIZERS["tiny-mistral"], template("tiny-mistral")
    sample = tokenizer.encode(render(spec, document("some text"), RenderOptions()))
    assert sample.ids[0] == tokenizer.control_id("<s>")
    assert sample.labels[0] == IGNORED
    assert sample.labels[1:] == sample.ids[1:]
    assert sample.ids[-1] == tokenizer.control_id("</s>")


# ── what is trained ──────────────────────────────────────────────────────────────────────────────────────────────────

TWO = Conversation(
    (Message("user", "U1"), Message("assistant", "A1"), Message("user", "U2"), Message("assistant", "A2")), "d:1"
)


@pytest.mark.parametrize("model", MODELS)
def test_train_on(model: str) -> None:
    spec = template(model)

    def trained(train_on: str, conversation: Conversation = TWO) -> str:
        return "".join(s.text for s in render(spec, conversation, RenderOptions(), train_on) if s.trained)

    end = spec.end_token
    assert trained("assistant").replace(" ", "") == f"A1{end}A2{end}"
    assert trained("last").replace(" ", "") == f"A2{end}"
    assert trained("all") == "".join(s.text for s in spec.render(TWO, RenderOptions()))
    silent = replace(TWO, messages=(*TWO.messages[:1], replace(TWO.messages[1], train=False), *TWO.messages[2:]))
    assert trained("assistant", silent).replace(" ", "") == f"A2{end}"
    assert "A1" not in trained("all", silent)
    assert "U1" in trained("all", silent)


def test_rows_without_anything_to_train_on_are_counted(tmp_path: Path) -> None:
    counts, found = encoded([pair(f"q {i}", "a", train=False) for i in range(10)], tmp_path)
    assert (counts.rows, counts.samples, counts.nothing_trained, len(found)) == (10, 0, 10, 0)


def test_one_piece_differences_are_counted(tmp_path: Path) -> None:
    """A typed control token stays words here, and the tokenizer's own reading would make it one."""
    rows = [*(pair(f"q {i}", "a") for i in range(9)), pair("say [INST] now", "a")]
    counts, _ = encoded(rows, tmp_path)
    assert (counts.compared, counts.differing) == (10, 1)


# ── words that are known ─────────────────────────────────────────────────────────────────────────────────────────────

PROSE_TEXT = "the of and to in is that for it with as was on be by at are this from or an which you not have all can"
PROSE = PROSE_TEXT.split()


def trained_bpe(pre: Any, normalizer: Any = None) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(byte_fallback=False))
    tokenizer.pre_tokenizer = pre
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=600, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator([" ".join(PROSE[i:] + PROSE[:i]) for i in range(20)] * 5, trainer)
    return tokenizer


LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def split(pattern: str) -> Any:
    from tokenizers import Regex

    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"), byte_level])


KINDS = {
    "gpt2": trained_bpe(pre_tokenizers.ByteLevel(add_prefix_space=False)),
    "llama3": trained_bpe(split(LLAMA3), normalizers.NFC()),
    "metaspace": trained_bpe(pre_tokenizers.Metaspace(prepend_scheme="never")),
    **{name: Tokenizer.from_str(t._words.to_str()) for name, t in TOKENIZERS.items()},
}
TEXT = st.lists(
    st.one_of(
        st.sampled_from(
            [*PROSE, " ", "  ", "\n", "\n\n", "\t", "\r\n", "'s", "don't", "x.", "(y)", "1234567", "é", "e\u0301"]
        ),
        st.sampled_from(
            ["▁", "Ġ", "\u00a0", "\u2003", "\u200b", "漢字", "🙂", "<s>", "</s>", "[INST]", "\u0301", "\x1c"]
        ),
        st.text(max_size=5),
    ),
    max_size=25,
).flatmap(lambda parts: st.sampled_from(["", " "]).map(lambda joint: joint.join(parts)))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=300, deadline=None)
@given(text=TEXT)
def test_known_words_give_the_ids_of_the_whole_text(kind: str, text: str) -> None:
    tokenizer = KINDS[kind]
    assert can_cut(json.loads(tokenizer.to_str()), tokenizer)
    cache = WordCache(lambda words: tokenizer.encode(words, add_special_tokens=False).ids)
    whole = tokenizer.encode(text, add_special_tokens=False).ids
    assert cache.ids(text) == whole
    assert cache.ids(text) == whole  # now from what it knows


@pytest.mark.parametrize(
    "change",
    [
        {"normalizer": {"type": "Prepend", "prepend": "▁"}},
        {"normalizer": {"type": "Lowercase"}},
        {"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}},
        {"pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}},
        {"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "(?<=x) "}, "behavior": "Isolated", "invert": False}},
        {"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "^a| "}, "behavior": "Isolated", "invert": False}},
        {"model": {"dropout": 0.1}},
        {"model": {"merges": [["a", "b"], ["of", "Ġthe"]]}},
        {"model": {"type": "Unigram"}},
        {"added_tokens": [{"id": 9, "content": "  ", "special": False}]},
        {"normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}},
        {"pre_tokenizer": None, "model": {"ignore_merges": True}},
    ],
)
def test_a_tokenizer_that_looks_further_is_not_cut(change: dict[str, Any]) -> None:
    described = json.loads(KINDS["gpt2"].to_str())
    assert can_cut(described, KINDS["gpt2"])
    model = {**described["model"], **change.get("model", {})}
    assert not can_cut({**described, **change, "model": model}, KINDS["gpt2"])


@pytest.mark.parametrize("pattern", [r"\w+ ?| ?\w+", r"[a-z]+ [a-z]+|\w+|\s+"])
def test_a_pre_tokenizer_that_reaches_over_a_space_is_not_cut(pattern: str) -> None:
    tokenizer = trained_bpe(split(pattern))
    assert not can_cut(json.loads(tokenizer.to_str()), tokenizer)


def test_a_pre_tokenizer_that_does_not_part_words_is_not_cut_where_whole_words_are_looked_up() -> None:
    tokenizer = trained_bpe(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False))
    described = json.loads(tokenizer.to_str())
    described["model"]["ignore_merges"] = True
    assert not can_cut(described, Tokenizer.from_str(json.dumps(described)))


def test_a_piece_ends_where_the_training_does() -> None:
    """A template of a stranger may supervise a part of an answer: the mask is of tokens, and follows it."""
    tokenizer = TOKENIZERS["tiny-mistral"]
    spans = [Span("a thought, ", "content", True, False), Span("the answer", "content", True, True)]
    sample = tokenizer.encode(spans)
    trained = [i for i, label in zip(sample.ids, sample.labels, strict=True) if label != IGNORED]
    assert tokenizer.decode(trained) == "the answer"


def test_runs_of_spaces_that_are_added_tokens_are_words() -> None:
    """As code models have them; a token that is special, or says something, never is."""
    described = json.loads(KINDS["gpt2"].to_str())
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    size = len(described["model"]["vocab"])
    described["added_tokens"] = [
        {"id": size, "content": "    ", "special": False, **plain},
        {"id": size + 1, "content": "<think>", "special": False, **plain},
        {"id": size + 2, "content": "<s>", "special": True, **plain},
    ]
    tokenizer = SpanTokenizer(json.dumps(described))
    assert size in tokenizer.words("def f():\n    return")
    assert tokenizer.words("def f():\n    return") == tokenizer.one_piece("def f():\n    return")
    assert not {size + 1, size + 2} & set(tokenizer.words("say <think> and <s>"))


def test_a_full_memory_of_words_starts_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    from graftlm.encoding import word_cache

    monkeypatch.setattr(word_cache, "MOST", 10)
    cache = WordCache(lambda words: [len(words)])
    assert cache.ids(" ".join(f"w{i}" for i in range(95)))[-1] == 4
    assert len(cache._known) <= 10


@pytest.mark.parametrize("model", MODELS)
@settings(max_examples=80, deadline=None)
@given(text=TEXT)
def test_shown_tokens_are_the_words_and_their_text(model: str, text: str) -> None:
    shown = TOKENIZERS[model].shown(text) if text else []
    assert [token for token, _ in shown] == (TOKENIZERS[model].words(text) if text else [])
    assert "".join(stretch for _, stretch in shown) == (text if shown else "")


# ── what is kept ─────────────────────────────────────────────────────────────────────────────────────────────────────


def kept_folder(root: Path, name: str) -> Path:
    staged = staging(root / name)
    (staged / "rows.safetensors").write_bytes(b"x")
    keep_staged(staged, root / name, EncodingCounts(rows=1))
    return root / name


def test_kept_whole_or_not_at_all(tmp_path: Path) -> None:
    assert not is_kept(tmp_path / "a")
    first = kept_folder(tmp_path, "a")
    assert is_kept(first)
    assert kept_folder(tmp_path, "a") == first  # whoever was slower is content with what is there
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    lay_out(first, tmp_path / "run" / "encoded", "train")
    assert read_counts(tmp_path / "run" / "encoded" / "train.json").rows == 1


def test_what_nobody_used_for_a_month_goes(tmp_path: Path) -> None:
    old, used = kept_folder(tmp_path, "old"), kept_folder(tmp_path, "used")
    month = time.time() - 31 * 86_400
    for folder in (old, used):
        os.utime(folder, (month, month))
    assert is_kept(used)  # asking for it is using it
    sweep(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["used"]
    sweep(tmp_path / "nowhere")


def test_what_was_used_longest_ago_goes_first_when_there_is_too_much(tmp_path: Path) -> None:
    for hours, name in ((5, "oldest"), (4, "older"), (0, "new")):
        folder = kept_folder(tmp_path, name)
        (folder / "rows.safetensors").write_bytes(b"x" * 1_000_000)
        os.utime(folder, (time.time() - hours * 3600,) * 2)
    sweep(tmp_path, most=2_500_000)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["new", "older"]


def test_half_of_a_kept_folder_is_none(tmp_path: Path) -> None:
    folder = kept_folder(tmp_path, "a")
    (folder / "rows.safetensors").unlink()
    assert not is_kept(folder)
