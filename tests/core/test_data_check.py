"""``graftlm data check`` finds every defect that was planted, at its place, and nothing in clean data."""

from __future__ import annotations

import gzip
import json
import random
import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from graftlm.checking.passes import CheckRequest, rows
from graftlm.contracts.conversation import Conversation, Message
from graftlm.data.columns import parse_columns
from graftlm.data.conversations import Fault, Reading
from graftlm.data.inputs import DataFile, Inputs
from graftlm.data.splits import DataRequest
from graftlm.data.splitting import SplitRule, membership
from graftlm_registry.plugins import registry

Run = Callable[..., Any]
Write = Callable[[str, Sequence[Any]], Path]

WORDS = [f"{a}{b}{c}" for a in "bcdfgklmnprst" for b in "aeiou" for c in ("l", "n", "rt", "sk", "m")]


def clean(count: int, seed: int = 1, words: int = 14) -> list[dict[str, str]]:
    """Rows that have nothing in common."""
    chance = random.Random(seed)
    return [
        {"instruction": " ".join(chance.choices(WORDS, k=words)), "output": " ".join(chance.choices(WORDS, k=words))}
        for _ in range(count)
    ]


def turns(*said: str, **more: Any) -> dict[str, Any]:
    roles = ("user", "assistant")
    return {"messages": [{"role": roles[i % 2], "content": words} for i, words in enumerate(said)], **more}


@pytest.fixture
def check(run: Run) -> Callable[..., dict[str, Any]]:
    """The report as JSON; its verdict and the exit code must agree."""

    def call(*arguments: str | Path) -> dict[str, Any]:
        said = run("data", "check", *arguments, "--json")
        report: dict[str, Any] = json.loads(said.out)
        assert said.err == ""
        assert said.code == (2 if report["verdict"] == "errors" else 0)
        assert (report["verdict"] == "errors") == any(f["level"] == "error" for f in report["findings"])
        return report

    return call


def finding(report: dict[str, Any], kind: str) -> dict[str, Any]:
    found = [f for f in report["findings"] if f["kind"] == kind]
    assert len(found) == 1, [f["kind"] for f in report["findings"]]
    return found[0]


def kinds(report: dict[str, Any], *levels: str) -> list[str]:
    return [f["kind"] for f in report["findings"] if f["level"] in (levels or ("error", "warning"))]


# ── clean data ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("model", ["", "tiny-mistral"])
def test_clean_data_has_nothing_to_mend(check: Run, write_rows: Write, model: str) -> None:
    report = check(write_rows("data.jsonl", clean(300)), *(["--model", model] if model else []))
    assert kinds(report) == []
    assert report["rows"] == sum(report["splits"].values()) == 300
    assert report["contents"]["roles"] == {"user": 300, "assistant": 300}
    assert report["near"]["rows"] == 0
    if model:
        samples = report["samples"]
        assert samples["encoded"] == samples["samples"] == samples["compared"] == 300
        assert 0 < samples["trained_share"] < 1
        assert samples["tokens"]["count"] == 300 == sum(count for _, _, count in samples["tokens"]["bins"])


def test_the_printed_report(run: Run, write_rows: Write) -> None:
    rows = clean(40)
    rows[6]["output"] = ""
    said = run("data", "check", write_rows("data.jsonl", rows), "--model", "tiny-qwen")
    lines = said.out.splitlines()
    assert said.code == 2
    assert lines[-1] == "1 thing must be mended before training (0 warnings)."
    assert any(line.endswith("data.jsonl:7: the last answer is empty") for line in lines)
    for name in ("turns a conversation", "characters a turn", "tokens a row", "tokens trained"):
        assert any(line.startswith(name) and "█" in line for line in lines)
    good = run("data", "check", write_rows("data.jsonl", clean(100)))
    assert (good.code, good.out.splitlines()[-1]) == (0, "Nothing must be mended (0 warnings).")


def test_distributions_of_a_known_file(check: Run, write_rows: Write) -> None:
    given = [turns(*(["abc"] * 2 * n)) | {"id": n} for n in (1, 1, 1, 2, 5)]
    spread = check(write_rows("data.jsonl", given))["contents"]["turns"]
    assert {name: spread[name] for name in ("count", "total", "min", "median", "p95", "max")} == {
        "count": 5, "total": 20, "min": 2, "median": 2, "p95": 10, "max": 10,
    }  # fmt: skip
    assert sum(count for _, _, count in spread["bins"]) == 5
    assert (spread["bins"][0][0], spread["bins"][-1][1]) == (2, 10)


# ── rows that cannot be used ─────────────────────────────────────────────────────────────────────────────────────────


def test_faults_are_counted_by_kind_and_the_first_twenty_told(check: Run, tmp_path: Path) -> None:
    lines = [json.dumps(row) for row in clean(100)]
    for number in range(30, 60):
        lines[number] = lines[number].replace(":", "", 1)
    lines[70] = json.dumps({"instruction": "x", "output": " "})
    lines[71] = json.dumps({"instruction": "x", "output": "\ud800"})
    (tmp_path / "data.jsonl").write_text("\n".join(lines))
    report = check(tmp_path / "data.jsonl")
    assert report["rows"] == 68
    assert report["faults"]["total"] == 32
    assert report["faults"]["kinds"] == {
        "not valid JSON: Expecting ':' delimiter (column 16)": 30,
        "the last answer is empty": 1,
        "its text holds half a surrogate pair, which is no character": 1,
    }
    assert [line.split(": ")[0].rpartition(":")[2] for line in report["faults"]["first"]] == [
        str(n) for n in range(31, 51)
    ]
    assert kinds(report, "error") == ["faults"]


def test_a_summary_of_faults_says_the_first_ones_own_words(run: Run, check: Run, tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("input,output,note\n" + "a,b,c\n" * 10 + "a\n" + "a,b\n" * 24)
    report = check(path)
    assert report["faults"]["kinds"] == {
        "1 field, and the header has 3": 1,
        "2 fields, and the header has 3": 24,
    }
    assert "24 × 2 fields" in run("data", "check", path).out, "many faults are summed up"
    path.write_text("input,output,note\n" + "a,b,c\n" * 10 + "a\n")
    said = run("data", "check", path).out
    assert said.count("1 field, and the header has 3") == 1, "a single one is told once"


def test_a_reason_of_many_characters_is_cut_in_the_middle(check: Run, write_rows: Write) -> None:
    rows: list[Any] = [*clean(30), {"k" * 20_000: "x"}, turns("a", {"b" * 20_000: 1})]  # type: ignore[arg-type]
    report = check(write_rows("data.jsonl", rows))
    assert report["faults"]["total"] == 2
    assert all(len(line) < 700 for line in (*report["faults"]["first"], *report["faults"]["kinds"]))
    report = check(write_rows("one.jsonl", [{"k" * 20_000: "\x1b[31m"}]))
    assert all(len(line) < 2000 for line in finding(report, "unreadable")["details"])


def test_where_no_record_can_be_read_all_are_counted(check: Run, tmp_path: Path) -> None:
    (tmp_path / "data.jsonl").write_text("{'a': 1}\n" * 50)
    report = check(tmp_path / "data.jsonl")
    assert report["faults"]["total"] == 50
    assert "counts them all" not in json.dumps(report)


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        ({"instruction": "d"}, "the last answer is empty (it has instruction)"),
        ({"prompt": "a", "completion": "b"}, "it fits format 'pairs'"),
        ({"question": "a", "text": 7}, "not a record of format 'alpaca'"),
        ({"title": "a"}, "not a record of format 'alpaca'"),
    ],
)
def test_an_odd_record_among_the_first_is_a_fault(
    run: Run, check: Run, write_rows: Write, odd: dict[str, str], reason: str
) -> None:
    rows: list[dict[str, str]] = clean(30)
    rows[10] = odd
    report = check(path := write_rows("data.jsonl", rows))
    assert (report["rows"], report["format"], report["faults"]["total"]) == (29, "alpaca", 1)
    (told,) = report["faults"]["first"]
    assert told.startswith(f"{path}:11: not a record of format 'alpaca'")
    assert reason in told
    assert run("plan", path, "--model", "tiny-mistral").code == 2


def test_half_of_one_format_and_half_of_another_are_not_guessed(check: Run, write_rows: Write) -> None:
    rows = [row if i % 2 else {"text": row["output"]} for i, row in enumerate(clean(30))]
    assert "mixes records" in finding(check(write_rows("data.jsonl", rows)), "unreadable")["details"][0]


def test_a_file_that_ends_early_does_not_hide_the_others(check: Run, tmp_path: Path) -> None:
    whole = "".join(json.dumps(row) + "\n" for row in clean(5000)).encode()
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a.jsonl.gz").write_bytes(gzip.compress(whole)[:-2000])
    (tmp_path / "d" / "b.jsonl").write_bytes("".join(json.dumps(row) + "\n" for row in clean(50, seed=2)).encode())
    report = check(tmp_path / "d")
    assert kinds(report, "error") == ["unreadable"]
    assert "a.jsonl.gz cannot be read" in report["faults"]["ended"][0]
    assert 1050 < report["rows"] < 5050
    assert report["files"] == 2


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.jsonl", b"", "has no records"),
        ("utf16.jsonl", "{}".encode("utf-16"), "UTF-16"),
        ("pref.jsonl", b'{"prompt": "a", "chosen": "b", "rejected": "c"}\n', "compares two answers"),
        ("zip.jsonl.gz", b"PK\x03\x04 nothing", "gzip"),
    ],
)
def test_what_cannot_be_read_at_all(check: Run, tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    report = check(tmp_path / name)
    assert words in " ".join(finding(report, "unreadable")["details"])


def test_an_empty_answer_before_the_last(check: Run, write_rows: Write) -> None:
    rows = [turns(f"first {i}", "" if i == 3 else "yes", "and?", f"no {i}") for i in range(10)]
    report = check(write_rows("data.jsonl", rows))
    assert finding(report, "empty-answers")["details"][0].endswith("data.jsonl:4")


DAMAGE: Sequence[Callable[[str], str]] = (
    lambda row: row.replace(":", "::", 1), lambda row: "{" + row, lambda row: "@" + row, lambda row: row[:-1],
    lambda row: row[1:], lambda row: "[]", lambda row: "7", lambda row: '{"instruction": "a\tb", "output": "c"}',
    lambda row: '{"instruction": "a", "output": ""}', lambda row: '{"instruction": 3, "output": "c"}',
    lambda row: '{"instruction": "a"}', lambda row: '{"instruction": "a", "output": "\\ud834"}',
)  # fmt: skip


def test_a_thousand_mutated_files_name_the_right_line(tmp_path: Path) -> None:
    chance = random.Random(7)
    alpaca = next(f for f in registry().all(_format()) if f.name == "alpaca")
    path = tmp_path / "data.jsonl"
    right = 0
    for _ in range(1000):
        lines = [json.dumps(row) for row in clean(chance.randint(1, 6), chance.randrange(10**6), 3)]
        lines = [line for one in lines for line in [""] * chance.choice((0, 0, 1)) + [one]]
        number = chance.choice([i for i, line in enumerate(lines) if line])
        lines[number] = chance.choice(DAMAGE)(lines[number])
        path.write_text(chance.choice(("\n", "\r\n")).join(lines), newline="")
        request = CheckRequest(
            data=DataRequest(data=Inputs("data.jsonl", (DataFile(path, "data.jsonl"),)), rule=_rule()),
            reading=Reading(alpaca, parse_columns("")),
            near=0,
        )
        faults = [row for _, row in rows(request) if isinstance(row, Fault)]
        right += [f.source for f in faults] == [f"data.jsonl:{number + 1}"]
    assert right == 1000


def _format() -> Any:
    from graftlm.contracts.specs import DataFormat

    return DataFormat


def _rule() -> SplitRule:
    return SplitRule(validation=0.1, test=0.1)


# ── rows that are the same, or nearly ────────────────────────────────────────────────────────────────────────────────


def test_repeated_rows(check: Run, write_rows: Write) -> None:
    rows = clean(40)
    rows += [rows[4], {k: f"  {v.upper()}" for k, v in rows[9].items()}, {**rows[12], "output": "something else"}]
    report = check(path := write_rows("data.jsonl", rows))
    assert report["duplicates"] == {
        "exact": 1, "first_exact": [[f"{path}:41", f"{path}:5"]],
        "folded": 1, "first_folded": [[f"{path}:42", f"{path}:10"]],
        "questions": 1, "contradictions": 1, "first_contradictions": [[f"{path}:43", f"{path}:13"]],
        "asked": 40,
    }  # fmt: skip
    assert kinds(report) == ["duplicates", "folded-duplicates", "contradictions"]
    assert report["near"]["rows"] == 0, "told once is enough"


def test_near_duplicates(check: Run, write_rows: Write) -> None:
    rows = clean(150, words=20)
    changed = {**rows[20], "instruction": rows[20]["instruction"].rpartition(" ")[0] + " otherwise"}
    rows += [changed, {**rows[30], "instruction": f"{rows[30]['instruction']}!"}]
    half = rows[40]["instruction"].split()[:10] + clean(1, seed=9)[0]["instruction"].split()[:10]
    rows.append({"instruction": " ".join(half), "output": rows[41]["output"]})
    report = check(path := write_rows("data.jsonl", rows))
    near = report["near"]
    assert [pair[:2] for pair in near["first"]] == [[f"{path}:151", f"{path}:21"], [f"{path}:152", f"{path}:31"]]
    assert near["rows"] == 2
    assert all(0.85 <= alike < 1 for *_, alike in near["first"])
    assert near == check(path)["near"], "the same again"
    assert check(path, "--near", "0")["near"] is None


def test_the_prompt_of_a_task_makes_no_near_duplicates(check: Run, write_rows: Write) -> None:
    prompt = " ".join(clean(1, seed=3, words=80)[0]["instruction"].split())
    rows = [{**row, "instruction": f"{prompt}: {row['instruction']}"} for row in clean(200, words=8)]
    report = check(write_rows("data.jsonl", rows))
    assert report["near"]["rows"] == 0
    assert finding(report, "shared-words")["level"] == "information"
    systems = [turns(f"{row['instruction']}?", row["output"], system=prompt) for row in clean(60)]
    assert check(write_rows("systems.jsonl", systems))["near"]["rows"] == 0


# ── splits ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_rows_on_both_sides(check: Run, write_rows: Write) -> None:
    rows = clean(60, words=20)
    data = write_rows("data.jsonl", rows)
    near = {**rows[20], "instruction": f"indeed {rows[20]['instruction']}"}
    shouted = {**rows[11], "instruction": rows[11]["instruction"].upper(), "output": "another"}
    held = write_rows("held.jsonl", [rows[10], shouted, near, *clean(5, seed=4)])
    report = check(data, "--val-data", held, "--test-split", "0")
    leaks = report["leaks"]
    assert (leaks["exact"], leaks["normalised"]) == (1, 1)
    assert leaks["first"] == [[f"{held}:1", f"{data}:11"], [f"{held}:2", f"{data}:12"]]
    assert finding(report, "leak")["level"] == "error"
    assert [pair[:2] for pair in report["near"]["first_leaks"]] == [[f"{held}:3", f"{data}:21"]]
    assert finding(report, "near-leak")["level"] == "warning"


def test_a_hash_split_never_parts_the_same_question_but_may_part_near_ones(check: Run, write_rows: Write) -> None:
    rows = clean(200, words=30)
    rows += [{**row, "instruction": row["instruction"].upper()} for row in rows]
    rows += [{**row, "instruction": f"{row['instruction']} now"} for row in rows[:200]]
    report = check(write_rows("data.jsonl", rows))
    assert report["leaks"]["exact"] == report["leaks"]["normalised"] == 0
    assert report["duplicates"]["folded"] == 200
    assert report["near"]["rows"] == 200
    assert 20 < report["near"]["leaks"] < 110
    assert kinds(report, "error") == []


def test_validation_and_test_rows_that_are_the_same(check: Run, write_rows: Write) -> None:
    held = clean(5, seed=4)
    arguments = ["--val-data", write_rows("v.jsonl", held), "--test-data", write_rows("t.jsonl", held[2:3])]
    report = check(write_rows("data.jsonl", clean(50)), *arguments)
    assert report["leaks"]["between"] == 1
    assert finding(report, "leak-between")["details"][0].endswith("v.jsonl:3")
    assert report["splits"] == {"train": 50, "validation": 5, "test": 1}


def test_a_split_rule_is_followed(run: Run, check: Run, write_rows: Write, tmp_path: Path) -> None:
    rows = [{**row, "output": ("yes", "no")[i % 2]} for i, row in enumerate(clean(80))]
    data = write_rows("data.jsonl", rows)
    assert run("data", "split", data, "--out", tmp_path / "s", "--stratify").code == 0
    report = check(data, "--split-rule", tmp_path / "s" / "split.json")
    for name, count in report["splits"].items():
        with (tmp_path / "s" / f"{name}.jsonl").open() as file:
            assert sum(1 for _ in file) == count
    assert report["classes"]["counts"]["yes"] == {
        "rows": 40, "questions": 40, "train": 32, "validation": 4, "test": 4,
    }  # fmt: skip


def question_of(split: str, count: int) -> list[dict[str, str]]:
    """Rows that fall into a split of ten per cent each."""
    rule = SplitRule(validation=0.1, test=0.1)
    found = (row for row in clean(500, seed=8) if membership(_conversation(row), rule) == split)
    return list(islice(found, count))


def _conversation(row: dict[str, str]) -> Conversation:
    return Conversation((Message("user", row["instruction"]), Message("assistant", row["output"])))


def test_a_single_row_that_is_kept_from_training(check: Run, write_rows: Write) -> None:
    message = finding(check(path := write_rows("one.jsonl", question_of("test", 1))), "no-rows")["message"]
    assert message.endswith(
        "its only row falls into the test split; --val-split 0 --test-split 0 keeps it for training"
    )
    assert check(path, "--val-split", "0", "--test-split", "0")["splits"]["train"] == 1
    path = write_rows("held.jsonl", question_of("validation", 1))
    assert "split; --val-split 0 keeps it" in finding(check(path), "no-rows")["message"]
    assert check(path, "--val-split", "0")["splits"]["train"] == 1
    rows = question_of("test", 1) + question_of("validation", 2)
    message = finding(check(write_rows("few.jsonl", rows)), "no-rows")["message"]
    assert "all of its 3 rows fall into the validation and test splits" in message
    assert "--val-split 0 --test-split 0 keeps them" in message


def test_few_questions_in_many_rows(check: Run, write_rows: Write) -> None:
    report = check(write_rows("data.jsonl", question_of("train", 3) * 40))
    held = [f["message"] for f in report["findings"] if f["kind"] == "no-held-rows"]
    assert len(held) == 2
    assert all("3 different questions are asked in all 120 rows" in message for message in held)


# ── classes, words, contents ─────────────────────────────────────────────────────────────────────────────────────────


def test_classes(check: Run, write_rows: Write) -> None:
    rows = [{**row, "output": "Spam" if i % 10 == 0 else "ham"} for i, row in enumerate(clean(100))]
    report = check(write_rows("data.jsonl", rows))
    assert set(report["classes"]["counts"]) == {"ham", "Spam"}
    assert report["classes"]["counts"]["Spam"]["rows"] == 10
    assert "always saying 'ham' would be right in 90% of the rows" in finding(report, "classes")["message"]
    even = [{**row, "output": str(i % 2)} for i, row in enumerate(clean(100))]
    assert finding(check(write_rows("even.jsonl", even)), "classes")["level"] == "information"
    assert check(write_rows("many.jsonl", clean(100)))["classes"] is None


def test_one_answer_is_all_that_is_learned_only_if_nothing_else_is_trained(check: Run, write_rows: Write) -> None:
    rows = [turns(row["instruction"], "ok") for row in clean(40)]
    found = finding(check(write_rows("one.jsonl", rows)), "classes")
    assert (found["level"], "nothing but this" in found["message"]) == ("warning", True)
    rows = [turns(row["instruction"], row["output"], "good?", "ok") for row in clean(40)]
    path = write_rows("two.jsonl", rows)
    found = finding(check(path), "classes")
    assert (found["level"], "nothing but this" in found["message"]) == ("information", False)
    last = finding(check(path, "--model", "tiny-mistral", "--train-on", "last"), "classes")
    assert "nothing but this" in last["message"]
    whole = finding(check(path, "--model", "tiny-mistral", "--train-on", "all"), "classes")
    assert "nothing but this" not in whole["message"]


def test_classes_are_counted_by_different_questions(run: Run, check: Run, write_rows: Write, tmp_path: Path) -> None:
    rows = [{"instruction": row["instruction"], "output": row["output"][:20]} for row in clean(42)] * 4
    data = write_rows("data.jsonl", rows)
    assert check(data)["classes"] is None
    assert run("data", "split", data, "--stratify", "--out", tmp_path / "s").code == 2
    rows = [{**row, "output": "yes" if i else "no"} for i, row in enumerate(question_of("train", 40))]
    rows += [{**question_of("test", 1)[0], "output": "perhaps"}] * 5
    message = finding(check(write_rows("single.jsonl", rows)), "classes")["message"]
    assert "'perhaps' answers one question, which is not trained on" in message
    assert "--stratify" not in message


def test_answers_that_are_written_in_several_ways(run: Run, check: Run, write_rows: Write) -> None:
    written = ("Yes", "yes", "No", "NO ", "Yes", "No")
    rows = [{**row, "output": written[i % 6]} for i, row in enumerate(clean(60))]
    report = check(path := write_rows("data.jsonl", rows))
    assert set(report["classes"]["counts"]) == {"Yes", "No"}
    found = finding(report, "inconsistent-answers")
    assert (found["level"], found["rows"]) == ("warning", 20)
    assert f"'No' 20 rows, the first at {path}:3; 'NO ' 10 rows, the first at {path}:4" in found["notes"]
    assert "'NO '" in run("data", "check", path).out


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("text-before-thought", "Use the tag <think>x</think> like that"),
        ("unclosed-thoughts", "<think>hm"),
        ("nested-thoughts", "<think>a<think>b</think>c</think>d"),
        ("nested-thoughts", "<think>a</think>b<think>c</think>d"),
    ],
)
def test_thoughts_that_a_template_would_lose(check: Run, write_rows: Write, kind: str, answer: str) -> None:
    rows = [{**row, "output": f"<think>\nhm\n</think>\n\n{row['output']}"} for row in clean(20)]
    rows[7]["output"] = answer
    rows[8]["output"] = "reasons without a beginning</think>said"
    path = write_rows("data.jsonl", rows)
    for model in ([], ["--model", "tiny-qwen"]):
        report = check(path, *model)
        assert [k for k in kinds(report) if "thought" in k] == [kind]
        assert (finding(report, kind)["rows"], finding(report, kind)["details"]) == (1, [f"{path}:8"])
    assert not [k for k in kinds(check(path, "--model", "tiny-mistral")) if "thought" in k], "all words are kept there"


@pytest.mark.parametrize(
    "text",
    [
        "HUMAN: {}\nASSISTANT: {}", "User: {}\nAssistant: {}", "Human: {}", "human: {}\n\nassistant: {}",
        "Below is…\n### Instruction:\n{}\n### Response:\n{}", "<|im_start|>user\n{}<|im_end|>",
        "<s>[INST] {} [/INST] {}", "**User:** {}\n**Assistant:** {}", "<start_of_turn>user\n{}",
    ],
)  # fmt: skip
def test_chats_that_are_kept_as_text(check: Run, write_rows: Write, text: str) -> None:
    rows = [{"text": text.replace("{}", row["output"])} for row in clean(20)]
    report = check(path := write_rows("data.jsonl", rows))
    found = finding(report, "looks-like-turns")
    assert (found["level"], found["rows"]) == ("warning", 20)
    assert found["details"][0].startswith(f"{path}:1: '")
    assert "<HUMAN>:" in found["message"]


def test_texts_that_only_speak_of_users(check: Run, write_rows: Write) -> None:
    said = ("user: root\ngroup: wheel", "The User: a history", "humanity", "# Instruction manual", "a <| b |> c")
    rows = [{"text": f"{said[i % len(said)]}\n{row['output']}"} for i, row in enumerate(clean(40))]
    assert kinds(check(write_rows("data.jsonl", rows))) == []


def test_questions_and_answers_that_say_nothing(check: Run, write_rows: Write) -> None:
    rows = [turns(row["instruction"], row["output"]) for row in clean(30)]
    rows[3] = turns(" \n", "why?")
    rows[4] = turns("look", "\u200b\u2060")
    rows[5] = turns("look again", "\u2800", "and?", "fine")
    rows[6] = turns("smile", "👍")
    rows[7] = turns("\u200b", "what?")
    report = check(path := write_rows("data.jsonl", rows))
    assert finding(report, "empty-questions")["details"] == [f"{path}:4", f"{path}:8"]
    assert finding(report, "invisible-answers")["details"] == [f"{path}:5", f"{path}:6"]


def test_calls_of_tools_that_are_not_declared(check: Run, write_rows: Write) -> None:
    def calling(name: str, *declared: str) -> dict[str, Any]:
        call = {"role": "assistant", "tool_calls": [{"function": {"name": name, "arguments": {}}}]}
        asked = {"role": "user", "content": f"{name} of {declared}?"}
        tools = [{"type": "function", "function": {"name": tool, "parameters": {}}} for tool in declared]
        return {"messages": [asked, call], "tools": tools}

    rows = [calling("add", "add", "sub"), calling("mul", "add", "sub"), calling("add")]
    found = finding(check(path := write_rows("data.jsonl", rows), "--test-split", "0"), "undeclared-tools")
    assert (found["level"], found["details"]) == ("warning", [f"{path}:2: 'mul'", f"{path}:3: 'add'"])


# ── fields that are not used ─────────────────────────────────────────────────────────────────────────────────────────


def test_fields_that_are_not_used(check: Run, write_rows: Write) -> None:
    rows = [{**row, "sytem": "Be brief.", "id": i, "url": "a/b", "input": ""} for i, row in enumerate(clean(30))]
    report = check(path := write_rows("data.jsonl", rows))
    found = finding(report, "unused-fields")
    assert found["message"] == "not used by format 'alpaca': 'sytem' (30 rows; did you mean 'system'?)"
    assert found["details"] == [f"'sytem': first at {path}:1"]
    assert finding(report, "other-fields")["message"] == "fields that are not used: 'id' (30 rows), 'url' (30 rows)"
    assert kinds(report) == ["unused-fields"]


def test_fields_that_are_used_are_left_alone(check: Run, write_rows: Write) -> None:
    rows: list[dict[str, Any]] = [{**row, "system": "S", "capability": "a", "history": []} for row in clean(300)]
    rows[250]["input"] = "late"
    rows[270]["history"] = [["a", "b"]]
    assert check(write_rows("data.jsonl", rows))["unused"] == []
    same = [
        {"messages": [{"role": "system", "content": "S"}, *turns("a", row["output"])["messages"]], "system": "S"}
        for row in clean(9)
    ]
    assert check(write_rows("same.jsonl", same))["unused"] == []


def test_a_field_of_another_format_hurts(check: Run, write_rows: Write) -> None:
    rows = [{**row, "context": "much to know"} for row in clean(30)]
    found = finding(check(write_rows("data.jsonl", rows)), "unused-fields")
    assert found["message"] == "not used by format 'alpaca': 'context' (30 rows)"
    typo = [dict(row) for row in clean(30)]
    typo[25] = {"instruction": "a", "ouput": "b"}
    found = finding(check(path := write_rows("typo.jsonl", typo)), "unused-fields")
    assert "'ouput' (1 row; did you mean 'output'?)" in found["message"]
    assert found["details"] == [f"'ouput': first at {path}:26"]


def test_columns_that_are_not_mapped(check: Run, tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    lines = [f"{i},{row['instruction']},{row['output']},see there" for i, row in enumerate(clean(30))]
    path.write_text("\n".join(["nr,ask,reply,context", *lines]))
    report = check(path, "--columns", "input=ask,output=reply")
    found = finding(report, "unused-fields")
    assert "'context' (30 rows)" in found["message"]
    assert "--columns leaves out" in found["message"]
    assert "'nr'" in finding(report, "other-fields")["message"]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("mojibake", "cafÃ© au lait"), ("mojibake", "itâ€™s"), ("mojibake", "aoÃ»t"), ("mojibake", "20 Â°C"),
        ("mojibake", "ä½\xa0å¥½"), ("mojibake", "ÐŸÑ€Ð¸"), ("mojibake", "ðŸ˜€"), ("replacement", "a \ufffd b"),
        ("bom", "a\ufeffb"), ("control", "a\x07b"), ("control", "a\x85b"), ("entity", "a &lt; b"), ("entity", "&#39;"),
    ],
)  # fmt: skip
def test_text_that_decodes_badly(check: Run, write_rows: Write, kind: str, words: str) -> None:
    rows = clean(10)
    rows[4]["output"] = words
    report = check(path := write_rows("data.jsonl", rows))
    (found,) = report["bad_text"]
    assert (found["kind"], found["rows"], found["first"][0][0]) == (kind, 1, f"{path}:5")
    assert finding(report, f"text-{kind}")["level"] == ("information" if kind == "entity" else "warning")


GOOD = (
    "déjà\u00a0» vu", "IRMÃ… e MANHÃ»", "CAFÉ» et l'été…»", "naïve façade", "Größe", "привет", "你好，世界",
    "a\tb\r\nc", "AT&T & R&D", "Ångström", "señor", "50 € â", "👍🏽 ok", "São Paulo", "ÂNGULO", "ação", "हिन्दी",
    "עברית",
)  # fmt: skip


@pytest.mark.parametrize("words", GOOD)
def test_sound_text_is_left_alone(check: Run, write_rows: Write, words: str) -> None:
    assert check(write_rows("data.jsonl", [*clean(5), {"instruction": words, "output": words}]))["bad_text"] == []


def test_documents_thoughts_tools_and_capabilities_are_counted(check: Run, write_rows: Write) -> None:
    call = [{"function": {"name": "f", "arguments": {}}}]
    rows = [
        turns("one?", "<think>\nhm\n</think>\n\nyes", capability="a"),
        {"messages": [
            {"role": "user", "content": "two?"}, {"role": "assistant", "tool_calls": call},
            {"role": "tool", "content": "2"}, {"role": "assistant", "content": "two"},
        ], "capability": "b"},
        turns("three?", "no", capability="a"),
    ]  # fmt: skip
    contents = check(write_rows("data.jsonl", rows))["contents"]
    assert (contents["thoughts"], contents["tools"], contents["documents"]) == (1, 1, 0)
    assert contents["capabilities"] == {"a": 2, "b": 1}
    documents = check(write_rows("text.jsonl", [{"text": row["output"]} for row in clean(9)]))["contents"]
    assert (documents["documents"], documents["roles"]) == (9, {"document": 9})


# ── with a model ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("overlong", "kind", "level"),
    [("drop", "left-out", "error"), ("error", "left-out", "error"), ("truncate-right", "cut", "warning"),
     ("truncate-left", "cut", "warning")],
)  # fmt: skip
def test_long_rows(check: Run, write_rows: Write, overlong: str, kind: str, level: str) -> None:
    rows = clean(10)
    for number in (3, 7):
        rows[number]["output"] *= 20
    path = write_rows("data.jsonl", rows)
    report = check(path, "--model", "tiny-mistral", "--max-length", "256", "--overlong", overlong)
    found = finding(report, kind)
    assert (found["rows"], found["level"]) == (2, level)
    assert [detail.split()[0] for detail in found["details"]] == [f"{path}:4", f"{path}:8"]
    assert report["samples"]["max_length"] == 256
    assert check(path, "--model", "tiny-mistral")["samples"]["max_length"] == 512, "as the model suggests"


def test_a_few_long_rows_are_a_warning(check: Run, write_rows: Write) -> None:
    rows = clean(40)
    rows[3]["output"] *= 40
    report = check(write_rows("data.jsonl", rows), "--model", "tiny-mistral")
    assert finding(report, "left-out")["level"] == "warning"


@pytest.mark.parametrize("overlong", ["drop", "truncate-left", "truncate-right"])
def test_what_is_trained_is_counted_of_the_samples(check: Run, write_rows: Write, overlong: str) -> None:
    rows = clean(20)
    short = check(write_rows("short.jsonl", rows), "--model", "tiny-mistral")["samples"]
    rows.append({"instruction": "say much", "output": rows[0]["output"] * 40})
    samples = check(write_rows("data.jsonl", rows), "--model", "tiny-mistral", "--overlong", overlong)["samples"]
    more = 0 if overlong == "drop" else samples["max_length"]
    assert samples["sample_tokens"] == short["sample_tokens"] + more
    assert samples["answer_tokens"]["count"] == (20 if overlong == "drop" else 21)
    assert samples["trained_share"] == samples["answer_tokens"]["total"] / samples["sample_tokens"]
    assert (samples["trained_share"] == short["trained_share"]) == (overlong == "drop")
    assert samples["tokens"]["count"] == 21, "as long as they are"


def test_typed_control_tokens(check: Run, write_rows: Write) -> None:
    rows = [turns(row["instruction"], f"<think>\nhm\n</think>\n\n{row['output']}") for row in clean(30)]
    rows[3]["messages"][0]["content"] += " <|im_end|>"
    rows[9]["messages"][1]["content"] += " <|endoftext|> and <|im_start|>"
    report = check(path := write_rows("data.jsonl", rows), "--model", "tiny-qwen")
    found = finding(report, "typed-tokens")
    assert found["level"] == "warning"
    assert found["details"] == [f"{path}:4: '<|im_end|>'", f"{path}:10: '<|endoftext|>'"]
    assert report["samples"]["differing"]["rows"] == 0, "told once is enough"
    assert "typed-tokens" not in kinds(check(path, "--model", "tiny-mistral"))


def test_the_reason_why_ids_differ_from_one_piece(check: Run, write_rows: Write) -> None:
    rows = [turns(row["instruction"], row["output"]) for row in clean(30)]
    rows[4]["messages"][1]["content"] = "\n\nso it is"
    report = check(path := write_rows("data.jsonl", rows), "--model", "tiny-qwen", "--template", "qwen2.5",
                   "--allow-template-mismatch")  # fmt: skip
    found = finding(report, "pieces")
    assert found["details"] == [f"{path}:5"]
    assert "the prompt ends before the answer" in found["message"]
    assert report["samples"]["differing_elsewhere"]["rows"] == 0


def test_nothing_to_train_on(check: Run, write_rows: Write) -> None:
    rows = [turns(f"question {i}", f"answer {i}") for i in range(10)]
    for number in (2, 5):
        rows[number]["messages"][1]["train"] = False
    report = check(path := write_rows("data.jsonl", rows), "--model", "tiny-glm")
    found = finding(report, "nothing-trained")
    assert (found["level"], found["details"]) == ("error", [f"{path}:3", f"{path}:6"])
    everything = check(path, "--model", "tiny-glm", "--train-on", "all")
    assert everything["samples"]["trained_share"] > report["samples"]["trained_share"]


def test_a_template_that_is_not_the_models(check: Run, write_rows: Write) -> None:
    report = check(write_rows("data.jsonl", clean(10)), "--model", "tiny-mistral", "--template", "chatml")
    assert set(kinds(report, "error")) == {"template"}


def test_tools_without_a_form(check: Run, write_rows: Write) -> None:
    tools = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
    rows = [turns(f"question {i}", f"answer {i}", **({"tools": tools} if i == 4 else {})) for i in range(10)]
    report = check(path := write_rows("data.jsonl", rows), "--model", "tiny-falcon")
    assert finding(report, "tools")["details"] == [f"{path}:5"]
    assert report["samples"]["encoded"] == 9


# ── the command ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_picture(run: Run, write_rows: Write, tmp_path: Path) -> None:
    data = write_rows("data.jsonl", clean(50))
    for more in ([], ["--model", "tiny-qwen", "--max-length", "30"]):
        assert run("data", "check", data, "--picture", tmp_path / "p.png", *more).code in (0, 2)
        assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_said_of_the_picture(run: Run, write_rows: Write, tmp_path: Path) -> None:
    data, picture = write_rows("data.jsonl", clean(50)), tmp_path / "p.png"
    assert f"picture written to {picture}\n" in run("data", "check", data, "--picture", picture).err
    said = run("data", "check", data, "--picture", picture, "--json")
    assert f"picture written to {picture} (over the one that was there)" in said.err
    assert json.loads(said.out)["rows"] == 50
    (tmp_path / "folder.png").mkdir()
    for place in (tmp_path / "folder.png", Path("/proc/p.png")):
        said = run("data", "check", data, "--picture", place)
        assert said.code == 2
        assert f"--picture {place} cannot be written" in said.err
        assert "Traceback" not in said.err


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--near", "2"], "--near is 2"),
        (["--max-length", "100"], "give --model too"),
        (["--picture", "p.jpg"], "must end in .png"),
        (["--val-split", "0.6", "--test-split", "0.5"], "nothing to train on"),
        (["--val-split", "2"], "must be at most"),
        (["--format", "alpacca"], "Did you mean"),
        (["--model", "tiny-mistrl"], "Did you mean"),
        (["--model", "tiny-mistral", "--thinking", "on"], "no thinking mode"),
        (["--model", "tiny-mistral", "--max-length", "100000000"], "positions"),
    ],
)
def test_flags_that_cannot_be(run: Run, write_rows: Write, flags: list[str], words: str) -> None:
    said = run("data", "check", write_rows("data.jsonl", clean(3)), *flags)
    assert (said.code, said.out) == (2, "")
    assert words in said.err


@pytest.mark.parametrize(
    ("flags", "kind", "words"),
    [
        (["--near", "2"], "usage", "--near is 2"),
        (["--max-length", "100"], "usage", "give --model too"),
        (["--format", "alpacca"], "plugin", "Did you mean"),
        (["--model", "tiny-mistrl"], "model", "Did you mean"),
        (["--val-data", "nope.jsonl"], "unreadable", "nope.jsonl"),
    ],
)
def test_errors_are_json_too(check: Run, write_rows: Write, flags: list[str], kind: str, words: str) -> None:
    found = finding(check(write_rows("data.jsonl", clean(3)), *flags), kind)
    assert words in " ".join([found["message"], *found["details"]])


def test_shares_of_nothing(check: Run, write_rows: Write) -> None:
    report = check(write_rows("data.jsonl", clean(100)), "--val-split", "0", "--test-split", "0")
    assert report["splits"] == {"train": 100, "validation": 0, "test": 0}


def test_no_torch_in_the_front(write_rows: Write, home: Path) -> None:
    code = (
        "import sys; from graftlm import cli; sys.argv = ['graftlm', 'data', 'check', *sys.argv[1:]]\n"
        "try: cli.main()\nfinally: assert not {'torch', 'transformers', 'datasets', 'matplotlib'} & set(sys.modules)"
    )
    arguments = [str(write_rows("data.jsonl", clean(10))), "--model", "tiny-mistral"]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_memory_is_flat(tmp_path: Path, home: Path) -> None:
    chance = random.Random(3)
    peaks = []
    for count in (10_000, 1_000_000):
        path = tmp_path / f"{count}.jsonl"
        with path.open("w") as file:
            for i in range(count):
                said = " ".join(chance.choices(WORDS, k=8))
                file.write(f'{{"instruction": "{said} {i}", "output": "{said[::-1]}"}}\n')
        code = "import sys; from graftlm import cli; sys.argv = ['graftlm', 'data', 'check', sys.argv[1]]; cli.main()"
        child = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.DEVNULL)
        _, status, usage = _wait(child.pid)
        assert status == 0
        peaks.append(usage.ru_maxrss / 1024)
    assert peaks[1] - peaks[0] < 80, peaks


def _wait(pid: int) -> tuple[int, int, resource.struct_rusage]:
    import os

    return os.wait4(pid, 0)
