"""Bad input gives one sentence that a person can act on, exit code 2, and leaves nothing behind."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import types
import typing
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import graftlm_registry
from graftlm.contracts.config import SETTINGS, RunConfig

Refused = Callable[..., str]

ROW = '{"instruction": "Name it.", "input": "thing %d", "output": "red"}'
BROKEN = '{"instruction": "Name it.", "output": }'
OPENAI = '{"messages": [{"role": "user", "content": "one?"}, {"role": "assistant", "content": "two"}]}'
MISTRAL = json.dumps({"model_type": "mistral", "max_position_embeddings": 64})
HUGE = 10**30
BUILTIN = Path(graftlm_registry.__file__).parent / "builtin"


def good(count: int) -> list[str]:
    return [ROW % i for i in range(count)]


def lines(*rows: str, end: str = "\n") -> bytes:
    return "".join(row + end for row in rows).encode()


def listed(*rows: str, end: str = "\n") -> bytes:
    """A JSON list with its first row in line 2."""
    return f"[{end}{f',{end}'.join(rows)}{end}]{end}".encode()


def turns(*roles: str) -> str:
    return json.dumps({"messages": [{"role": role, "content": f"words of the {role}"} for role in roles]})


@pytest.fixture(autouse=True)
def _no_worker(monkeypatch: pytest.MonkeyPatch, _probed: Path) -> None:
    """Bad input must be refused before any process starts."""

    def start(self: object, *arguments: object, **more: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess.Popen, "__init__", start)


def left_behind(home: Path) -> list[str]:
    """Runs, staged adapters and adapters in a home."""
    places = ("runs", "store/staging", "store/objects", "store/adapters")
    return [str(p) for place in places if (home / place).is_dir() for p in (home / place).iterdir()]


@pytest.fixture
def refused(run: Callable[..., Any], home: Path, tmp_path: Path) -> Refused:
    """Run a command that must be refused, and return its sentence; ``says`` must stand in it.

    The test's folder, whose name holds the test's own words, is written ``TMP`` in the sentence.
    """

    def call(*arguments: str | Path, says: tuple[str, ...], problems: int = 1) -> str:
        said = run(*arguments)
        assert said.code == 2, said
        assert said.out.count("\n") <= 1  # what was about to be done, at most
        assert "Traceback" not in said.err
        assert said.err.count("Error: ") == 1, said.err
        sentence: str = said.err.partition("Error: ")[2].strip().replace(str(tmp_path), "TMP")
        assert len(sentence.splitlines()) == problems, sentence
        for words in says:
            assert words.replace(str(tmp_path), "TMP") in sentence, sentence
        assert left_behind(home) == []
        return sentence

    return call


def case(arguments: str, *says: str) -> Any:
    """What is typed (``{data}`` is a good file, ``{tmp}`` a folder), and what the answer must say."""
    return pytest.param(arguments, says, id=arguments[:60] or "nothing")


TRAIN = "train {data} --model tiny-mistral --name skill "

UNKNOWN_NAMES = [
    case(
        "train {data} --model tiny-mistrl", "unknown model 'tiny-mistrl'", "Did you mean 'tiny-mistral'", "OWNER/NAME"
    ),
    case("train {data} --model shape:mistral-8b", "unknown model 'mistral-8b'", "mistral-7b"),
    case("train {data} --model nobody/nothing --offline", "nobody/nothing", "not on this machine", "--offline"),
    case("train {data} --model ./nowhere", "no model folder nowhere"),
    case("train {data} --model ~nobody-at-all/model", "~nobody-at-all"),
    case(f"train {{data}} --model {'x' * 300}", "x" * 300),
    case(TRAIN + "--backend pefd", "unknown backend 'pefd'", "Did you mean 'peft'", "trainer"),
    case(TRAIN + "--family mistrl", "unknown family 'mistrl'", "Did you mean 'mistral'"),
    case(TRAIN + "--family qwen", "tiny-mistral is a mistral model", "'qwen'", "leave --family out"),
    case(TRAIN + "--template mistral-v4", "unknown template 'mistral-v4'", "Did you mean 'mistral-v7'"),
    case(TRAIN + "--format alpca", "unknown format 'alpca'", "Did you mean 'alpaca'"),
    case(TRAIN + "--accelerator spda", "unknown accelerator 'spda'", "Did you mean 'sdpa'"),
    case(TRAIN + "--accelerator sdpa+egaer", "unknown accelerator 'egaer'", "Did you mean 'eager'"),
    case(TRAIN + "--method lroa", "unknown method 'lroa'", "Did you mean 'lora'"),
    case(TRAIN + "--quantization nf5", "unknown quantization 'nf5'", "none"),
    case(TRAIN + "--evaluator exact-mach", "unknown evaluator 'exact-mach'", "Did you mean 'exact-match'"),
    case(
        TRAIN + "--target-modules q_proj,k_prj", "unknown target module 'k_prj'", "Did you mean 'k_proj'", "all-linear"
    ),
    case(TRAIN + "--target-modules ''", "unknown target module ''", "q_proj"),
    case(TRAIN + "--dtype fp8", "--dtype", "unknown value 'fp8'", "bf16"),
    case(TRAIN + "--device tpu", "--device", "unknown value 'tpu'", "cuda"),
    case(TRAIN + "--schedule cosinus", "--schedule", "Did you mean 'cosine'"),
    case(TRAIN + "--learning_rate 1", "--learning_rate", "--learning-rate"),
    case("trian {data}", "unknown command 'trian'", "Did you mean 'train'"),
    case("adapters lst", "lst"),
    case("adapters show nobody", "unknown adapter 'nobody'", "none"),
    case("adapters show nobody@3", "unknown adapter 'nobody'"),
    case("adapters show nobody@0", "'nobody@0'", "version"),
    case("adapters path nobody", "unknown adapter 'nobody'"),
    case("adapters path ../../etc", "'../../etc' is not a name"),
    case("generate nobody hello", "nobody is neither an adapter (there are: none) nor a model", "tiny-mistral"),
    case("generate nobody@2 hello", "nobody@2 is neither an adapter"),
    case("generate ./nowhere hello", "no model folder nowhere"),
    case("generate tiny-mistral ''", "the prompt is empty"),
    case("generate tiny-mistral hello --max-new-tokens 0", "--max-new-tokens", "at least 1"),
    case("models show tiny-mistrl", "unknown model 'tiny-mistrl'", "Did you mean 'tiny-mistral'"),
    case("plugins show pefd", "unknown plugin 'pefd'", "Did you mean 'peft'"),
    case("plugins show backed/peft", "unknown kind of plugin 'backed'", "Did you mean 'backend'"),
    case("plugins show backend/lora", "unknown backend 'lora'"),
    case("demo --skill sentimnt", "unknown skill 'sentimnt'", "Did you mean 'sentiment'"),
    case("demo --model tiny-mistrl", "unknown model 'tiny-mistrl'"),
]

CONTRADICTIONS = [
    case("train", "no data", "data.jsonl"),
    case("train {data}", "no model", "--model"),
    case("train --model tiny-mistral", "no data"),
    case(TRAIN + "--epochs 2 --max-steps 5", "--epochs and --max-steps exclude each other"),
    case(TRAIN + "--val-split 0.1 --val-data {data}", "--val-split and --val-data exclude each other"),
    case(TRAIN + "--test-split 0.1 --test-data {data}", "--test-split and --test-data exclude each other"),
    case(TRAIN + "--val-split 0.5 --test-split 0.5", "--val-split 0.5", "--test-split 0.5", "nothing to train on"),
    case(TRAIN + "--val-split 0.9 --test-split 0.8", "nothing to train on"),
    case(TRAIN + "--batch-size 16 --micro-batch 5", "--batch-size 16", "--micro-batch 5"),
    case(TRAIN + "--micro-batch 5", "--batch-size 16", "--micro-batch 5"),
    case(TRAIN + "--batch-size 4 --micro-batch 8", "--batch-size 4", "--micro-batch 8"),
    case(TRAIN + "--max-length 1025", "--max-length 1025", "1024 positions", "tiny-mistral"),
    case(TRAIN + "--device cpu --dtype fp16 --backend trainer", "fp16 on a CPU", "--backend peft"),
    case(TRAIN + "--evaluator exact-match+exact-match", "exact-match+exact-match"),
    case(TRAIN + "--evaluator exact-match+", "exact-match+"),
    case(TRAIN + "--accelerator sdpa+sdpa", "sdpa+sdpa"),
    case(TRAIN + "--set use_rslora=true", "use_rslora=true", "KIND.NAME=VALUE"),
    case(TRAIN + "--set method.use_rslora", "method.use_rslora", "KIND.NAME=VALUE"),
    case(TRAIN + "--set .use_rslora=true", ".use_rslora=true", "KIND.NAME=VALUE"),
    case(TRAIN + "--set method.=true", "method.=true", "KIND.NAME=VALUE"),
    case(TRAIN + "--set metod.use_rslora=true", "'metod'", "Did you mean 'method'"),
    case(TRAIN + "--set method.use_rslra=true", "'use_rslra'", "Did you mean 'use_rslora'"),
    case(TRAIN + "--set backend.anything=1", "backend.anything", "has no options"),
    case(TRAIN + "--set method.use_rslora=perhaps", "method.use_rslora is 'perhaps'", "true or false"),
    case(TRAIN + "--set method.use_rslora=", "method.use_rslora is ''", "true or false"),
    case(TRAIN + "--config nowhere.yaml", "no configuration file nowhere.yaml"),
    case(TRAIN + "--config {tmp}", "no configuration file {tmp}"),
    case(TRAIN + "--modle x", "--modle", "--model"),
    case("train {data} {data} --model tiny-mistral", "{data}"),
    case("train {data} --model tiny-mistral --name 'My Skill'", "'My Skill'", "lower-case"),
    case("train {data} --model tiny-mistral --name ../skill", "'../skill'"),
    case("train {data} --model tiny-mistral --name skill@2", "'skill@2'"),
    case("train {data} --model tiny-mistral --name con", "'con'"),
    case(f"train {{data}} --model tiny-mistral --name {'s' * 65}", "s" * 65, "64"),
    case("train {data} --model tiny-mistral --name ''", "'' is not a name"),
    case(TRAIN + "--out {full}", "--out {full} is not empty", "new folder"),
    case(TRAIN + "--out {data}", "--out {data}"),
    case(TRAIN + "--out {data}/below", "--out {data}/below"),
]


@pytest.mark.parametrize(("arguments", "says"), [*UNKNOWN_NAMES, *CONTRADICTIONS])
def test_flags(
    arguments: str,
    says: tuple[str, ...],
    refused: Refused,
    alpaca: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    full = tmp_path / "full"
    full.mkdir()
    (full / "kept.txt").write_text("kept", encoding="utf-8")
    places = {"data": alpaca, "tmp": tmp_path, "full": full}
    refused(*shlex.split(arguments.format(**places)), says=tuple(words.format(**places) for words in says))
    assert [p.name for p in full.iterdir()] == ["kept.txt"]
    assert alpaca.read_bytes().count(b"\n") == 40


@pytest.mark.parametrize("flags", ["--rank 0", "--backend pefd", "--max-length 1025", "--name con", "--dtype fp8"])
def test_plan_refuses_as_train_does(flags: str, refused: Refused, alpaca: Path) -> None:
    arguments = (alpaca, "--model", "tiny-mistral", *shlex.split(flags))
    assert refused("train", *arguments, says=()) == refused("plan", *arguments, says=())


def test_two_accelerators_that_claim_the_same(refused: Refused, alpaca: Path) -> None:
    arguments = ("train", alpaca, "--model", "tiny-mistral", "--accelerator", "sdpa+eager")
    refused(*arguments, says=("sdpa and eager both claim 'attention'", "choose one"), problems=2)


def test_a_device_that_is_not_there(refused: Refused, alpaca: Path, home: Path) -> None:
    from graftlm.environments.probing import probe

    absent = next(device for device in ("cuda", "mps") if device not in probe().device_types)
    refused(*shlex.split(f"train {alpaca} --model tiny-mistral --device {absent}"), says=(f"--device {absent}", "cpu"))


# ── numbers ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def numeric_settings() -> Iterator[tuple[str, type, dict[str, Any]]]:
    """Flag, type and limits of every setting that is a number."""
    kinds = typing.get_type_hints(RunConfig)
    for name, limits in SETTINGS.items():
        kind = next(t for t in typing.get_args(kinds[name]) if t is not types.NoneType)
        if kind in (int, float):
            yield f"--{name.replace('_', '-')}", kind, dict(limits)


def numbers() -> Iterator[Any]:
    """Every number that is just out of range, not a number, or too large to mean anything."""
    for flag, kind, limits in numeric_settings():
        step = 1 if kind is int else 0.5
        wrong: list[tuple[Any, tuple[str, ...]]] = []
        if limits["minimum"] is not None:
            low = limits["minimum"] - step
            wrong.append((low, (flag, str(low), f"at least {limits['minimum']}")))
        if limits["maximum"] is not None:
            high = limits["maximum"] + step
            wrong.append((high, (flag, str(high), f"at most {limits['maximum']}")))
        if limits["above"] is not None:
            wrong += [(limits["above"] - n, (flag, str(limits["above"] - n), "more than 0")) for n in (0, step)]
        if kind is float:
            wrong += [(word, (flag, word, "finite")) for word in ("nan", "inf", "-inf")]
        else:
            wrong += [(word, (flag, word, "integer")) for word in ("1.5", "nan", "1e3")]
        if kind is int or flag == "--epochs":
            wrong.append((HUGE if kind is int else 1e300, (flag,)))
        wrong += [(word, (flag, f"'{word}'")) for word in ("", "many")]
        yield from (pytest.param(f"{flag}={value}", says, id=f"{flag}={value}") for value, says in wrong)


@pytest.mark.parametrize(("argument", "says"), numbers())
def test_numbers(argument: str, says: tuple[str, ...], refused: Refused, alpaca: Path) -> None:
    refused("train", alpaca, "--model", "tiny-mistral", argument, says=says)


def test_every_number_has_a_range() -> None:
    for flag, _, limits in numeric_settings():
        assert limits["minimum"] is not None or limits["above"] is not None, flag


# ── data ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def bad(what: str, name: str, content: bytes, line: int, *says: str) -> Any:
    """A data file, the line that must be named (0: the file alone), and what else the sentence must say."""
    return pytest.param(name, content, (f"{name}:{line}:" if line else name, *says), id=what)


CONTAINERS = [
    bad("nothing in it", "d.jsonl", b"", 0, "no records"),
    bad("blank lines only", "d.jsonl", b"\n  \n\r\n", 0, "no records"),
    bad("an empty list", "d.json", b"[ \n ]", 0, "no records"),
    bad("a table", "d.csv", b"a,b\n1,2\n", 2, "no known format", "--columns"),
    bad("a word processor's file", "d.docx", b"PK", 0, ".jsonl"),
    bad("a line that does not parse", "d.jsonl", lines(*good(2), BROKEN, *good(2)), 3, "not valid JSON", "column"),
    bad("the same behind a BOM", "d.jsonl", b"\xef\xbb\xbf" + lines(BROKEN, *good(2)), 1, "not valid JSON"),
    bad("the same with CRLF", "d.jsonl", lines(*good(2), BROKEN, *good(2), end="\r\n"), 3, "not valid JSON"),
    bad("the same behind blank lines", "d.jsonl", b"\n\n" + lines(*good(2), BROKEN), 5, "not valid JSON"),
    bad("the same as JSONL in .json", "d.json", lines(*good(2), BROKEN), 3, "not valid JSON"),
    bad("the last line is cut", "d.jsonl", lines(*good(2)) + ROW[:30].encode(), 3, "not valid JSON"),
    bad("two records in a line", "d.jsonl", lines(*good(2), "".join(good(2))), 3, "not valid JSON"),
    bad("a broken row of a list", "d.json", listed(*good(2), BROKEN, *good(2)), 4, "not valid JSON"),
    bad("of a list behind a BOM", "d.json", b"\xef\xbb\xbf" + listed(*good(2), BROKEN), 4, "not valid JSON"),
    bad("of a list with CRLF", "d.json", listed(*good(2), BROKEN, *good(2), end="\r\n"), 4, "not valid JSON"),
    bad("a list that does not end", "d.json", listed(*good(2)).rstrip(b"\n]"), 3, "not valid JSON"),
    bad("a list that is opened only", "d.json", b"\n\n[", 3, "not valid JSON"),
    bad("a list that ends in a comma", "d.json", listed(*good(2), "").replace(b"\n\n", b"\n"), 4, "not valid JSON"),
    bad("a list with a brace too many", "d.json", listed(good(1)[0] + "}", *good(2)), 2, "not valid JSON"),
    bad("a list without a comma", "d.json", listed("\n".join(good(2))), 3, "not valid JSON", "','"),
    bad("words behind a list", "d.json", listed(*good(3)) + b"\nand more\n", 7, "not valid JSON"),
    bad("two lists", "d.json", listed(*good(3)) + listed(*good(3)), 6, "not valid JSON"),
    bad("not UTF-8", "d.jsonl", lines(*good(299)) + b'{"instruction": "caf\xe9", "output": "x"}\n', 300, "UTF-8"),
    bad("a list that is not UTF-8", "d.json", listed(*good(2), "@").replace(b"@", b'{"a": "\xe9"}'), 4, "UTF-8"),
    bad("UTF-16", "d.jsonl", lines(*good(3)).decode().encode("utf-16"), 1, "UTF-8"),
    bad("a surrogate in raw bytes", "d.jsonl", lines(*good(1)) + b'{"input": "\xed\xa0\xbd"}\n', 2, "UTF-8"),
    bad(
        "a lone surrogate",
        "d.jsonl",
        lines(*good(2), r'{"instruction": "half \ud83d", "output": "x"}'),
        3,
        "surrogate",
    ),
    bad(
        "a lone surrogate in a list",
        "d.json",
        listed(*good(2), r'{"instruction": "x", "output": "\ude00 half"}'),
        4,
        "surrogate",
    ),
    bad("deep nesting", "d.jsonl", lines(*good(2), '{"a": ' + "[" * 100_000), 3, "nested too deeply"),
    bad("deep nesting in a list", "d.json", listed(*good(2), '{"a": ' + "[" * 100_000), 4, "nested too deeply"),
    bad("a number without end", "d.jsonl", lines(*good(2), '{"a": ' + "1" * 5000 + "}"), 3, "JSON"),
    bad("a number without end in a list", "d.json", listed(*good(2), '{"a": ' + "1" * 5000 + "}"), 4, "JSON"),
    bad("a line that is no object", "d.jsonl", lines(*good(2), '["a", "b"]'), 3, "JSON object", "list"),
    bad("an element that is no object", "d.json", listed(*good(2), '"a"'), 4, "JSON object", "str"),
]

RECORDS = [
    bad("no known format", "d.jsonl", lines('{"wort": "a", "zahl": 1}'), 1, "no known format", "wort, zahl", "alpaca"),
    bad("a table of labels", "d.jsonl", lines('{"text": "a", "label": 1}'), 1, "--columns input=text,output=label"),
    bad("two answers to compare", "d.jsonl", lines('{"prompt": "a", "chosen": "b", "rejected": "c"}'), 1, "compares"),
    bad("no fields", "d.jsonl", lines("{}"), 1, "no known format", "no fields"),
    bad("no known format later on", "d.jsonl", lines(*good(3), '{"wort": "a"}'), 4, "no known format"),
    bad("mixed formats", "d.jsonl", lines(*good(3), OPENAI), 0, "several formats"),
    bad("mixed formats, later", "d.jsonl", lines(*good(40), OPENAI), 41, "format"),
    bad("another record, later", "d.jsonl", lines(*good(40), '{"text": "a"}'), 41, "format"),
    bad("an empty answer", "d.jsonl", lines(*good(2), '{"instruction": "a", "output": ""}'), 3, "answer is empty"),
    bad("an answer of spaces", "d.jsonl", lines('{"prompt": "a", "completion": " \\n"}'), 1, "answer is empty"),
    bad("no answer", "d.jsonl", lines('{"instruction": "a", "output": null}'), 1, "answer is empty"),
    bad("a number as the answer", "d.jsonl", lines('{"instruction": "a", "output": 5}'), 1, "'output'", "text"),
    bad("a wrong history", "d.jsonl", lines('{"instruction": "a", "output": "b", "history": [1]}'), 1, "'history'"),
    bad("the user says the last word", "d.jsonl", lines(turns("user", "assistant", "user")), 1, "last turn"),
    bad("the model says the first word", "d.jsonl", lines(turns("assistant", "user", "assistant")), 1, "first turn"),
    bad("two turns of the user", "d.jsonl", lines(turns("user", "user", "assistant")), 1, "two user turns"),
    bad("two turns of the model", "d.jsonl", lines(turns("user", "assistant", "assistant")), 1, "two assistant turns"),
    bad("a system turn alone", "d.jsonl", lines(turns("system")), 1, "first turn"),
    bad("a system turn at the end", "d.jsonl", lines(turns("user", "assistant", "system")), 1, "last turn"),
    bad("a role of nobody", "d.jsonl", lines(turns("user", "oracle")), 1, "turn 2", "'oracle'"),
    bad("a tool", "d.jsonl", lines(turns("user", "tool", "assistant")), 1, "a tool's answer follows"),
    bad(
        "a call of a tool",
        "d.jsonl",
        lines(
            '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "", "tool_calls": [1]}]}'
        ),
        1,
        "turn 2",
        "tool",
    ),
    bad(
        "an image",
        "d.jsonl",
        lines(
            '{"messages": [{"role": "user", "content": [{"type": "image"}]}, {"role": "assistant", "content": "a"}]}'
        ),
        1,
        "turn 1",
        "only text",
    ),
    bad(
        "an empty answer in turns",
        "d.jsonl",
        lines('{"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": ""}]}'),
        1,
        "answer is empty",
    ),
]


def with_tools(**more: Any) -> bytes:
    """Three records of turns, the third with a call of a tool; ``more`` replaces what belongs to the call."""
    parts: dict[str, Any] = {"name": "f", "arguments": {"x": 1}, "id": "c1", "said": "rain", "about": "what it does"}
    parts |= more
    call = {"id": parts["id"], "type": "function", "function": {k: parts[k] for k in ("name", "arguments")}}
    record = {
        "messages": [
            {"role": "user", "content": "q"},
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "name": parts["name"], "content": parts["said"], "tool_call_id": parts["id"]},
            {"role": "assistant", "content": "a"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "description": parts["about"]}}],
    }
    return lines(OPENAI, OPENAI, json.dumps(record))


def capable(of: Any) -> bytes:
    return lines(*good(2), json.dumps({**json.loads(good(1)[0]), "capability": of}))


HALF, SURROGATE = "half \ud83d", "half a surrogate pair"

TOOLS = [
    bad("half a pair in an argument", "d.jsonl", with_tools(arguments={"x": HALF}), 3, SURROGATE),
    bad("half a pair in an argument's name", "d.jsonl", with_tools(arguments={HALF: 1}), 3, SURROGATE),
    bad("half a pair in JSON in a text", "d.jsonl", with_tools(arguments='{"x": ["\\ud83d"]}'), 3, SURROGATE),
    bad("half a pair in a name", "d.jsonl", with_tools(name=HALF), 3, SURROGATE),
    bad("half a pair in an id", "d.jsonl", with_tools(id=HALF), 3, SURROGATE),
    bad("half a pair in what a tool says", "d.jsonl", with_tools(said=HALF), 3, SURROGATE),
    bad("half a pair in what a tool is", "d.jsonl", with_tools(about=HALF), 3, SURROGATE),
    bad("NaN in an argument", "d.jsonl", with_tools(arguments={"x": float("nan")}), 3, "tool", "not finite"),
    bad("infinity, deep down", "d.jsonl", with_tools(arguments={"x": [{"y": float("-inf")}]}), 3, "not finite"),
    bad("infinity in JSON in a text", "d.jsonl", with_tools(arguments='{"x": 1e999}'), 3, "not finite"),
    bad("NaN in a tool", "d.jsonl", with_tools(about=float("nan")), 3, "not finite"),
]

CAPABILITIES = [
    bad(f"a capability {said!r:.20}", "d.jsonl", capable(said), 3, "'capability' must be", *words)
    for said, *words in (
        (5, "text, not int"), (["a"], "text, not list"), (True, "text, not bool"), ("../a", "letters, digits"),
        ("a/b", "64"), ("a\\b", "letters"), ("..", "letters"), (" ", "letters"), ("a\nb", "letters"),
        ("a\x1b[0m", "letters"), ("x" * 65, "64"), (HALF, "letters"), ("a\u202eb", "letters"),
    )
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "says"), [*TOOLS, *CAPABILITIES])
def test_what_stands_beside_the_words(
    name: str, content: bytes, says: tuple[str, ...], refused: Refused, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    refused("train", tmp_path / name, "--model", "tiny-qwen", says=(str(tmp_path), *says))


@pytest.mark.parametrize("said", ["a", "x" * 64, "Größe", "हिन्दी", "漢字 2", "my_skill-1.5", ".a", "", None])
def test_capabilities_that_may_be(said: str | None, home: Path, tmp_path: Path) -> None:
    """No text, as a table has it, is none."""
    from graftlm.contracts.conversation import Conversation
    from graftlm.contracts.specs import DataFormat
    from graftlm.data.conversations import Reading, read
    from graftlm.data.inputs import find
    from graftlm_registry.plugins import registry

    (tmp_path / "d.jsonl").write_bytes(capable(said))
    *_, row = read(find(str(tmp_path / "d.jsonl"), spool=home), Reading(registry().get(DataFormat, "alpaca")))
    assert isinstance(row, Conversation)
    assert row.capability == (said or "")


@pytest.mark.parametrize("format", ["auto", "pairs"])
def test_a_column_that_is_not_there_is_told_once(format: str, refused: Refused, tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("q,a\n" + "one,two\n" * 30, encoding="utf-8")
    flags = ("--model", "tiny-mistral", "--format", format, "--columns", "input=quest,output=a")
    says = (f"{path}:2: no column 'quest' (--columns input=quest): there are q, a",)
    refused("train", path, *flags, says=says)
    refused("data", "convert", path, "--as", "openai", "--out", tmp_path / "o.jsonl", *flags[2:], says=says)


def test_a_column_that_later_records_lack_is_told_of_each(refused: Refused, tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_bytes(lines('{"q": "one", "a": "two"}', '{"q": "one"}', '{"a": "two"}'))
    says = ("d.jsonl:2: no column 'a'", "d.jsonl:3: no column 'q'")
    refused("train", path, "--model", "tiny-mistral", "--columns", "input=q,output=a", says=says, problems=2)


@pytest.mark.parametrize(("name", "content", "says"), [*CONTAINERS, *RECORDS])
def test_data(name: str, content: bytes, says: tuple[str, ...], refused: Refused, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    refused("train", path, "--model", "tiny-mistral", says=(str(tmp_path), *says))


@pytest.mark.parametrize("name", ["data", "val-data", "test-data"])
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, ("no data file", "other.jsonl")),
        (b"", ("other.jsonl", "no records")),
        (lines(*good(1), BROKEN), ("other.jsonl:2:", "not valid JSON")),
        (lines('{"instruction": "a", "output": ""}'), ("other.jsonl:1:", "answer is empty")),
    ],
    ids=["missing", "empty", "broken", "unanswered"],
)
def test_every_data_flag(
    name: str, content: bytes | None, says: tuple[str, ...], refused: Refused, alpaca: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.jsonl"
    if content is not None:
        other.write_bytes(content)
    flags: tuple[str | Path, ...] = (other,) if name == "data" else (alpaca, f"--{name}", other)
    refused("train", *flags, "--model", "tiny-mistral", says=says)


@pytest.mark.parametrize("name", ["data", "val-data", "test-data"])
def test_a_folder_as_data(name: str, refused: Refused, alpaca: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    flags: tuple[str | Path, ...] = (empty,) if name == "data" else (alpaca, f"--{name}", empty)
    refused("train", *flags, "--model", "tiny-mistral", says=(f"{empty}", "no data file", ".jsonl"))


def test_validation_data_of_another_format(refused: Refused, alpaca: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    other.write_bytes(lines(OPENAI))
    refused("train", alpaca, "--val-data", other, "--model", "tiny-mistral", says=("other.jsonl:1:", "format"))


def test_a_format_that_does_not_fit(refused: Refused, alpaca: Path) -> None:
    says = ("data.jsonl:1:", "messages")
    refused("train", alpaca, "--format", "openai", "--model", "tiny-mistral", says=says)


def test_a_path_that_is_too_long(refused: Refused, tmp_path: Path) -> None:
    refused("train", f"{'x' * 300}.jsonl", "--model", "tiny-mistral", says=("x" * 300,))


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file whose reading fails, even for root")
def test_files_that_cannot_be_read(refused: Refused, alpaca: Path, tmp_path: Path) -> None:
    for name in ("d.jsonl", "d.json", "run.yaml"):
        (tmp_path / name).symlink_to("/proc/self/mem")
    for name in ("d.jsonl", "d.json"):
        refused("train", tmp_path / name, "--model", "tiny-mistral", says=(name, "read"))
    refused("train", alpaca, "--config", tmp_path / "run.yaml", says=("run.yaml", "read"))


def test_one_row_that_is_not_trained_on(refused: Refused, tmp_path: Path) -> None:
    """A single row that falls into the test split leaves nothing to train on."""
    from graftlm.contracts.conversation import Conversation, Message
    from graftlm.data.splitting import SplitRule, membership

    def kept(words: str) -> bool:
        return membership(Conversation((Message("user", words),)), SplitRule(validation=0.1, test=0.1)) != "train"

    words = next(f"row {i}" for i in range(1000) if kept(f"row {i}"))
    path = tmp_path / "one.jsonl"
    path.write_text(json.dumps({"instruction": words, "output": "a"}) + "\n", encoding="utf-8")
    refused("train", path, "--model", "tiny-mistral", says=("one.jsonl", "leaves no rows to train on"))


# ── models ───────────────────────────────────────────────────────────────────────────────────────────────────────────

WEIGHTS = {"model.safetensors": b"", "tokenizer.json": b"{}"}


@pytest.mark.parametrize(
    ("files", "says"),
    [
        pytest.param({}, ("no config.json",), id="nothing"),
        pytest.param({"adapter_config.json": b"{}"}, ("no config.json", "adapter"), id="an adapter"),
        pytest.param({"config.json": b"{", **WEIGHTS}, ("config.json", "not valid JSON"), id="broken"),
        pytest.param({"config.json": b"\xff", **WEIGHTS}, ("config.json", "not valid JSON"), id="not UTF-8"),
        pytest.param({"config.json": b"[" * 100_000, **WEIGHTS}, ("config.json", "JSON"), id="nested deeply"),
        pytest.param({"config.json": b"[]", **WEIGHTS}, ("config.json", "JSON object"), id="a list"),
        pytest.param({"config.json": b"{}", **WEIGHTS}, ("config.json", "model_type"), id="no model_type"),
        pytest.param({"config.json": MISTRAL.encode()}, ("no *.safetensors", "safe_serialization"), id="no weights"),
        pytest.param(
            {"config.json": MISTRAL.encode(), "pytorch_model.bin": b"x"},
            ("pytorch_model.bin", "pickle", "safe_serialization"),
            id="a pickle",
        ),
        pytest.param(
            {"config.json": b'{"model_type": "bert"}', **WEIGHTS},
            ("is a bert model", "Supported model types", "mistral", "plugin"),
            id="an unsupported model_type",
        ),
        pytest.param(
            {"config.json": b'{"model_type": 5}', **WEIGHTS}, ("is a 5 model", "mistral"), id="a strange model_type"
        ),
        pytest.param(
            {"config.json": MISTRAL.encode(), "model.safetensors": b""}, ("tokenizer.json",), id="no tokenizer"
        ),
    ],
)
@pytest.mark.parametrize("command", ["train", "generate"])
def test_model_folders(
    command: str, files: dict[str, bytes], says: tuple[str, ...], refused: Refused, alpaca: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "base"
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    arguments = ("train", alpaca, "--model", folder) if command == "train" else ("generate", folder, "hello")
    refused(*arguments, says=("base", *says))


# ── plugins ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("package", "version", "says"),
    [
        ("transformers", "", ("backend peft", "needs transformers", "not installed", "pip install 'graftlm[peft]'")),
        ("torch", "1.13.1", ("backend peft", "needs torch >=", "1.13.1 is installed", "pip install 'graftlm[peft]'")),
        ("torch", "99.0", ("backend peft", "needs torch >=", "99.0 is installed", "pip install 'graftlm[peft]'")),
    ],
)
def test_a_package_that_is_missing_or_of_another_version(
    package: str,
    version: str,
    says: tuple[str, ...],
    refused: Refused,
    alpaca: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from graftlm.planning import requirements

    real = requirements.installed_version
    monkeypatch.setattr(requirements, "installed_version", lambda name: version if name == package else real(name))
    refused("train", alpaca, "--model", "tiny-mistral", says=says)


def test_a_strangers_plugin_without_its_package(
    refused: Refused, alpaca: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from graftlm.contracts.spec import Requirement
    from graftlm.contracts.specs import Quantization
    from graftlm_registry import discovery, plugins

    spec = Quantization(
        name="int1",
        summary="one bit",
        bits=1,
        target="nowhere:Quantizer",
        requires=(Requirement(distribution="graftlm-int1-kernels", minimum="2"), Requirement(device="abacus")),
    )
    known = plugins.registry()
    with_it = plugins.Registry([*known.plugins, discovery.Plugin("int1", "graftlm-int1", "1.0", (spec,))])
    monkeypatch.setattr(plugins, "registry", lambda: with_it)
    says = (
        "quantization int1",
        "needs graftlm-int1-kernels >=2, which is not installed",
        "pip install 'graftlm-int1-kernels>=2'",
        "needs a abacus device",
    )
    refused("train", alpaca, "--model", "tiny-mistral", "--quantization", "int1", says=says, problems=2)


# ── YAML ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def yaml(content: str | bytes, *says: str) -> Any:
    whole = content if isinstance(content, bytes) else content.encode()
    return pytest.param(whole, says, id=ascii(content)[:50])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        yaml("rnak: 8\n", "unknown key 'rnak'", "Did you mean 'rank'"),
        yaml("learning_rat: 8\n", "unknown key 'learning_rat'", "Did you mean 'learning-rate'"),
        yaml("5: 8\n", "unknown key '5'"),
        yaml("rank: many\n", "rank is 'many'", "a whole number"),
        yaml("rank: 1.5\n", "rank is 1.5", "a whole number"),
        yaml("rank: true\n", "rank is True", "a whole number"),
        yaml("rank: [1, 2]\n", "rank is [1, 2]", "a whole number"),
        yaml("learning-rate: fast\n", "learning-rate is 'fast'", "a number"),
        yaml("learning-rate: true\n", "learning-rate is True", "a number"),
        yaml("learning-rate: .nan\n", "--learning-rate", "nan", "finite"),
        yaml("learning-rate: nan\n", "--learning-rate", "nan", "finite"),
        yaml("offline: 1\n", "offline is 1", "true or false"),
        yaml("offline: 'yes'\n", "offline is 'yes'", "true or false"),
        yaml("name: 5\n", "name is 5", "text"),
        yaml("name: {a: b}\n", "name is {'a': 'b'}", "text"),
        yaml("name: 2024-13-45\n", "month"),
        yaml("rank: 0\n", "--rank", "at least 1"),
        yaml("dtype: fp8\n", "--dtype", "'fp8'"),
        yaml("epochs: 1\nmax-steps: 5\n", "--epochs and --max-steps"),
        yaml("options: 5\n", "options", "kinds of plugins"),
        yaml("options: {method: 5}\n", "options", "kinds of plugins"),
        yaml("options: {metod: {use_rslora: true}}\n", "'metod'", "Did you mean 'method'"),
        yaml("options: {method: {use_rslra: true}}\n", "'use_rslra'", "Did you mean 'use_rslora'"),
        yaml("options: {method: {use_rslora: 5}}\n", "method.use_rslora is 5", "true or false"),
        yaml("options: {1: {use_rslora: true}}\n", "'1'"),
        yaml("options: {method: {1: true}}\n", "'1'"),
        yaml("- rank\n- 8\n", "must hold keys and values"),
        yaml("rank\n", "must hold keys and values"),
        yaml("", "must hold keys and values"),
        yaml("rank: [8\n", "not valid YAML"),
        yaml("rank: 8\n\tname: x\n", "not valid YAML"),
        yaml("rank: !!python/object/apply:os.getcwd []\n", "not valid YAML"),
        yaml(b"name: caf\xe9\n", "not valid YAML"),
        yaml(b"name: \x00\n", "not valid YAML"),
        yaml("[" * 20_000, "not valid YAML"),
    ],
)
def test_yaml(content: bytes, says: tuple[str, ...], refused: Refused, alpaca: Path, tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_bytes(content)
    about_the_file = () if any(words.startswith(("--", "'", "method.")) for words in says) else ("run.yaml",)
    refused("train", alpaca, "--model", "tiny-mistral", "--config", path, says=(*about_the_file, *says))


# ── the store ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_home_that_is_a_file(
    refused: Refused, home: Path, alpaca: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from graftlm.chat_templates.own import OwnTemplate
    from graftlm.contracts.serial import from_json
    from graftlm.contracts.situation import Probe
    from graftlm.environments import probing
    from graftlm.planning import prompting

    known = from_json(next((home / "probes").glob("*.json")).read_bytes(), Probe, "the probe")
    monkeypatch.setattr(probing, "ask", lambda at: known)
    own = prompting.kept_own_texts(OwnTemplate.from_folder(BUILTIN / "tiny-mistral"))
    monkeypatch.setattr(prompting, "kept_own_texts", lambda model: own)
    path = tmp_path / "a-file"
    path.write_text("precious", encoding="utf-8")
    monkeypatch.setenv("GRAFTLM_HOME", str(path))
    refused("train", alpaca, "--model", "tiny-mistral", says=(f"{path}/store", "GRAFTLM_HOME"))
    assert path.read_text(encoding="utf-8") == "precious"


@pytest.mark.parametrize("name", ["store", "runs", "store/staging", "store/adapters"])
def test_a_file_where_a_folder_should_be(name: str, refused: Refused, alpaca: Path, home: Path) -> None:
    (home / name).parent.mkdir(exist_ok=True)
    (home / name).write_text("precious", encoding="utf-8")
    refused("train", alpaca, "--model", "tiny-mistral", says=(str(home / name.partition("/")[0]),))
    assert (home / name).read_text(encoding="utf-8") == "precious"


@pytest.mark.parametrize("content", [b'{"layout": 99}', b"{", b"[]", b""])
def test_a_store_of_another_layout(content: bytes, refused: Refused, alpaca: Path, home: Path) -> None:
    (home / "store").mkdir()
    (home / "store" / "layout.json").write_bytes(content)
    refused("train", alpaca, "--model", "tiny-mistral", says=(str(home / "store"),))


def test_data_that_changes_after_the_plan(home: Path, alpaca: Path) -> None:
    """Caught before a worker starts; the run's folder and the staged adapter go."""
    import graftlm
    from graftlm.contracts.errors import DataError
    from graftlm.running.train import carry_out
    from graftlm_registry.plugins import registry

    plan = graftlm.plan(data=alpaca, model="tiny-mistral")
    alpaca.write_bytes(alpaca.read_bytes() + lines(*good(1)))
    with pytest.raises(DataError, match=r"data\.jsonl changed"):
        carry_out(plan, registry(), lambda event: None)
    assert left_behind(home) == []


def test_a_plan_with_problems_is_not_carried_out(home: Path, alpaca: Path) -> None:
    import graftlm
    from graftlm.contracts.errors import PluginError
    from graftlm.running.train import carry_out
    from graftlm_registry.plugins import registry

    plan = graftlm.plan(data=alpaca, model="tiny-mistral")
    spoilt = replace(plan, parts=(replace(plan.parts[0], problems=("is broken",)), *plan.parts[1:]))
    with pytest.raises(PluginError, match="is broken"):
        carry_out(spoilt, registry(), lambda event: None)
    assert left_behind(home) == []


def test_debug_shows_the_traceback(run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from graftlm.contracts.errors import DataError

    with pytest.raises(DataError, match="no data file"):
        run("--debug", "train", "nowhere.jsonl", "--model", "tiny-mistral")
    assert sys.argv[1] == "--debug"
