"""The model card: it says what the record says, all of it plain words, the same each time."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
import yaml
from kept_adapters import draft

from graftlm.contracts.errors import UsageError
from graftlm.contracts.evaluated import EvaluationRecord
from graftlm.contracts.load import LoadPlan, RopePlan
from graftlm.contracts.outcome import Change, Score
from graftlm.contracts.record import AdapterRecord
from graftlm.sharing.licence import check_licence
from graftlm.sharing.markdown import code, escaped, line, table
from graftlm.sharing.model_card import Card, model_card
from graftlm.sharing.portable import prompt_of
from graftlm.sharing.usage import snippet
from graftlm_registry.plugins import registry

HOSTILE = (
    "x](https://evil.example) <script>alert(1)</script> `a` | b\n# heading\n- *item* ![i](j) $x$ www.evil.example "
    "\x1b[31m"
)


def score(moment: Any, value: float, **more: Any) -> Score:
    given: dict[str, Any] = {
        "evaluation": "colours", "role": "new", "metric": "exact-match", "moment": moment, "value": value, "n": 40,
        "low": value - 0.1, "high": value + 0.1, "interval": "wilson", "evaluator": "exact-match", **more,
    }  # fmt: skip
    return Score(**given)


def change(value: float, low: float, high: float, **more: Any) -> Change:
    given: dict[str, Any] = {
        "evaluation": "colours", "role": "new", "metric": "exact-match", "value": value, "n": 40, "unit": "fraction",
        "higher_is_better": True, "low": low, "high": high, "evaluator": "exact-match", **more,
    }  # fmt: skip
    return Change(**given)


LOSS = {"evaluation": "retention text", "role": "old", "metric": "loss", "evaluator": "perplexity",
        "unit": "nats per token", "higher_is_better": False}  # fmt: skip
OLD = {"evaluation": "capitals", "role": "old"}


def trained(**changes: Any) -> AdapterRecord:
    scores = (
        score("before", 0.25), score("after", 0.88), score("before", 1.25, **LOSS), score("after", 1.5, **LOSS),
        score("before", 0.9, **OLD), score("after", 0.5, **OLD),
    )  # fmt: skip
    changed = (
        change(0.62, 0.4, 0.75),
        change(0.25, 0.125, 0.375, **LOSS),
        change(-0.4, -0.5, -0.25, **OLD),
    )
    known = {"rank": 4, "alpha": 8.0, "target_modules": ["q_proj"], "learning_rate": 2e-4, "seed": 7, "options": {},
             "encoding": {"max_length": 512, "train_on": "assistant"}}  # fmt: skip
    made = replace(
        draft("d" * 64),
        version=3,
        scores=scores,
        changes=changed,
        hyperparameters=known,
        split_rows={"train": 90, "test": 40},
    )
    return replace(made, **changes)


def on_hub(record: AdapterRecord, name: str = "mistralai/Mistral-7B-v0.3") -> AdapterRecord:
    base = replace(record.base, name=name, reference=name, source="hub", revision="a" * 40)
    return replace(record, base=base, load=replace(record.load, name=name))


def head(text: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(text.split("---\n")[1])
    return found


def text_of(record: AdapterRecord, **more: Any) -> str:
    return model_card(Card(record=record, **more))


def test_it_says_all_that_the_record_says() -> None:
    record = trained()
    text = text_of(record, notes=("for the demo",), tags=("best",), prompt="<s>Hello!")
    for words in (
        "# skill", "tiny-mistral (mistral, built-in)", "precision: fp32", "quantization: none", "RoPE scaling: none",
        "prompt template: mistral-v3", "rank: 4", "alpha: 8", "target modules: q_proj", "learning rate: 0.0002",
        "longest sample in tokens: 512", "rows: 90 train, 40 test", "last loss: 1.0000",
        "| colours (new, unseen rows) | exact-match | 25% (15–35) | 88% (78–98) | 40 | +62 (+40 to +75) |",
        "| capitals (old) | exact-match | 90% (80–100) | 50% (40–60) | 40 | −40 (−50 to −25), worse |",
        "Forgetting: +0.25 (+0.125 to +0.375) nats a token on the retention text.",
        "Lost of what the base could do (percentage points): capitals −40 (−50 to −25).",
        "- for the demo", "tags: best", f"digest: {'d' * 64}", "adapter: skill@3 (trained)", "versions: torch 2",
        "Apache-2.0, that of the base", "graftlm generate skill",
    ):  # fmt: skip
        assert words in text, words
    assert text == text_of(record, notes=("for the demo",), tags=("best",), prompt="<s>Hello!")
    assert head(text) == {
        "library_name": "peft", "pipeline_tag": "text-generation", "tags": ["graftlm", "lora"], "license": "apache-2.0",
    }  # fmt: skip


def test_a_base_of_the_hub_is_named_as_the_hub_does() -> None:
    text = text_of(on_hub(trained()))
    assert head(text)["base_model"] == "mistralai/Mistral-7B-v0.3"
    assert head(text)["license"] == "apache-2.0"
    assert f"revision='{'a' * 40}'" in text
    shape = replace(trained(), base=replace(trained().base, name="shape:mistral-7b", source="shape"))
    assert "base_model" not in head(text_of(shape))  # its weights are random
    assert "PEFT alone cannot load it" in text_of(shape)


def test_licences() -> None:
    record = trained()
    given = text_of(record, licence="CC-BY-4.0")
    assert head(given)["license"] == "cc-by-4.0"
    assert "CC-BY-4.0, as its owner says. The base is under Apache-2.0." in given
    assert head(text_of(record, licence="ours: 'ask'"))["license_name"] == "ours: 'ask'"
    falcon = head(text_of(on_hub(record, "tiiuae/falcon-180B")))
    assert (falcon["license"], falcon["license_name"]) == ("other", "falcon-180b")
    unknown = text_of(on_hub(record, "somebody/something"))
    assert "license" not in head(unknown)
    assert "None was given, and that of the base is not known here" in unknown
    for wrong in ("a\nb", "x" * 201, "a\x1b[1m"):
        with pytest.raises(UsageError, match="on one line"):
            check_licence(wrong)


def test_what_was_not_measured_is_said_to_be_so() -> None:
    text = text_of(trained(scores=(), changes=(), split_rows={"train": 90}))
    assert "It was not scored." in text
    assert "What it cost the base was not measured." in text
    assert "No row was held out" in text


def test_an_imported_and_a_combined_one() -> None:
    empty: dict[str, Any] = {
        "run": "", "data_digest": "", "split_rows": {}, "plan_hash": "", "scores": (), "changes": (),
        "final_loss": None, "hyperparameters": {"rank": 4},
    }  # fmt: skip
    imported = text_of(trained(origin="imported", source="hf:somebody/adapter", **empty))
    assert "imported into graftlm, found at hf:somebody/adapter" in imported
    assert "graftlm did not train it" in imported
    for word in ("loss:", "run:", "digest of the plan", "trained with"):
        assert word not in imported
    how = {"rank": 4, "combination": "ties", "weights": [0.7, 0.3], "density": 0.5, "seed": 1,
           "encoding": {"max_length": 512, "train_on": "assistant"}}  # fmt: skip
    combined = text_of(trained(origin="combined", parents=("a@1", "b@2"), **{**empty, "hyperparameters": how}))
    for words in ("- combination: ties", "- weights: 0.7, 0.3", "- density: 0.5", "- seed: 1"):
        assert words in combined
    assert "trained on" not in combined
    assert "combined of a@1, b@2" in combined
    assert "Nothing was trained." in combined
    assert "merge" in head(combined)["tags"]
    assert "It goes on from a@1" in text_of(trained(parents=("a@1",)))


def test_rope_and_quantization_are_limits() -> None:
    rope = RopePlan(kind="yarn", factor=2.0, original=128, context=256)
    load = LoadPlan(name="m", dtype="bf16", attention="sdpa", quantization="nf4", rope=rope)
    text = text_of(trained(load=load, quantization="nf4"))
    assert "trained on nf4 weights" in text
    assert "must be loaded with RoPE scaling (yarn by 2, from 128 to 256 positions)" in text
    assert "'original_max_position_embeddings': 128" in text
    assert "config.max_position_embeddings = 256" in text


def test_later_evaluations_are_told() -> None:
    later = EvaluationRecord(
        subject="skill@3", data="/home/me/secret.jsonl", rows=12, digest="e" * 16, evaluators=("exact-match",),
        options={}, scores=(score("after", 0.5),), versions={}, device="cpu", dtype="fp32", graftlm="0.1.0",
        created="2026-02-01",
    )  # fmt: skip
    text = text_of(trained(), evaluations=(later,))
    assert f"2026-02-01, on 12 rows ({'e' * 16}), by exact-match:" in text
    assert "| colours | exact-match | 50% (40–60) | 40 |" in text
    assert "secret" not in text  # where the rows lay is nobody's business


def test_no_word_of_a_record_is_markdown() -> None:
    base = replace(trained().base, name=HOSTILE, revision=HOSTILE, model_type=HOSTILE, source="folder")
    record = trained(
        base=base, template=HOSTILE, device=HOSTILE, source=HOSTILE, parents=(HOSTILE,), data_digest=HOSTILE,
        hyperparameters={"schedule": HOSTILE, "options": {HOSTILE: HOSTILE}}, environment=HOSTILE, created=HOSTILE,
        scores=(score("before", 0.1, evaluation=HOSTILE), score("after", 0.2, evaluation=HOSTILE)),
    )  # fmt: skip
    card = model_card(Card(record=record, licence="x", notes=(HOSTILE, "# no heading", "1. no list"), tags=(HOSTILE,)))
    body = card.split("---\n", 2)[2]
    outside = re.sub(r"^```\w*\n.*?^```$", "", body, flags=re.M | re.S)
    assert "evil" in outside
    plain = re.sub(r"\\.|`base`", "", outside)  # what is escaped is no Markdown
    assert not re.search(r"\]\(|<\w|[`*\x1b$]|https://|www\.", plain)
    headings = [line for line in outside.splitlines() if line.startswith("#")]
    assert all(re.fullmatch(r"#{1,2} [A-Za-z ]+", line) for line in headings), headings
    rows = [line for line in plain.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in rows} == {7}
    for note in ("- \\# no heading", "- 1\\. no list"):
        assert note in card
    inside = re.findall(r"^```python\n(.*?)^```$", body, flags=re.M | re.S)
    compile(inside[0], "snippet", "exec")


def test_markdown_keeps_what_is_plain() -> None:
    assert escaped("q_proj (a+b) 2026-01-01 x-y") == "q_proj (a+b) 2026-01-01 x-y"
    assert escaped("_a_ __b__ a_b") == "\\_a\\_ \\_\\_b\\_\\_ a_b"
    assert escaped("x" * 3000).endswith("x …")
    assert [line(word) for word in ("1. a", "- a", "# a", "--- a", "-1", "1.5", "+62")] == [
        "1\\. a", "\\- a", "\\# a", "\\--- a", "-1", "1.5", "+62",
    ]  # fmt: skip
    assert table(("a", "b"), [("x|y", 1)]) == "| a | b |\n| --- | --- |\n| x\\|y | 1 |"
    assert code("", "a\n````\nb") == "`````\na\n````\nb\n`````"


@pytest.mark.parametrize("template", ["mistral-v3", "chatml", "llama3", "alpaca", "glm4", "falcon-instruct", "model"])
def test_the_snippet_asks_in_the_record_s_words(template: str) -> None:
    record = replace(trained(), template=template)
    prompt = prompt_of(record, registry())
    said = snippet(record, prompt)
    assert (prompt == "") == (template == "model")
    assert ("apply_chat_template" in said) == (template == "model")
    assert repr(prompt) in said or template == "model"
    compile(said, "snippet", "exec")
