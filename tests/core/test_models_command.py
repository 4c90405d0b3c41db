"""``graftlm models list`` and ``models show``."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Said

from graftlm.cli.models import amounts
from graftlm.contracts.errors import UsageError
from graftlm_registry.models import catalogue

Run = Callable[..., Said]
NAMES = catalogue().names()
WAYS = ["full", "lora bf16", "lora int8", "qlora nf4"]


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")


def data(said: Said) -> Any:
    assert said.code == 0, said.err
    return json.loads(said.out)


def columns(header: str) -> list[int]:
    """Where the columns of a table begin."""
    starts = [0]
    for place in range(2, len(header)):
        if header[place] != " " and header[place - 2 : place] == "  ":
            starts.append(place)
    return starts


def test_the_list_is_aligned_and_fits_a_screen(run: Run) -> None:
    said = run("models", "list")
    assert said.code == 0
    header, *rows = said.out.splitlines()
    assert header.split() == [
        "--model",
        "parameters",
        "layers",
        "context",
        "in",
        "bf16",
        "family",
        "template",
        "licence",
    ]
    assert len(rows) == len(NAMES)
    assert all(len(row) <= 120 for row in rows)
    for row in rows:
        for start in columns(header)[1:]:
            assert row[start - 1] == " "
            assert row[start] != " "


@pytest.mark.parametrize(
    "row",
    [
        "tiny-qwen 767K 4 1K 1 MiB qwen qwen3 Apache-2.0",
        "shape:qwen2.5-0.5b 494M 24 32K 942 MiB qwen qwen2.5 apache-2.0",
        "shape:mistral-7b 7.25B 32 32K 13.5 GiB mistral mistral-v3 apache-2.0",
        "shape:falcon-7b 6.92B 32 2K 12.9 GiB falcon falcon-instruct apache-2.0",
        "shape:falcon3-7b 7.46B 28 32K 13.9 GiB llama falcon3 falcon-llm-license",
        "shape:glm-4-32b 32.6B 61 32K 60.7 GiB glm glm4-newline mit",
        "shape:qwen3-next-80b-a3b 79.7B 48 256K 148.4 GiB qwen qwen3-2507 apache-2.0",
    ],
)
def test_the_list_says(run: Run, row: str) -> None:
    assert row in {" ".join(line.split()) for line in run("models", "list").out.splitlines()}


def test_the_list_as_json(run: Run) -> None:
    found = {model["name"]: model for model in data(run("models", "list", "--json"))}
    assert tuple(found) == NAMES
    qwen = found["qwen2.5-0.5b"]
    assert qwen["model"] == "shape:qwen2.5-0.5b"
    assert qwen["hub"] == "Qwen/Qwen2.5-0.5B"
    assert qwen["parameters"] == 494_032_768
    assert qwen["weights_by_precision"]["bf16"] == pytest.approx(2 * 494_032_768, rel=0.01)
    assert qwen["weights_by_precision"]["fp32"] == pytest.approx(4 * 494_032_768, rel=0.01)


def test_what_fits_by_way(run: Run) -> None:
    """A 7B model: LoRA in 16 bit needs more than 16 GB, on an 8-bit or 4-bit base it does not; full is far away."""
    found = {model["name"]: model["training"] for model in data(run("models", "list", "--fits", "16GB", "--json"))}
    assert tuple(found) == NAMES
    fits = {name: {way["way"]: way["fits"] for way in ways} for name, ways in found.items()}
    assert fits["mistral-7b"] == dict(zip(WAYS, (False, False, True, True), strict=True))
    assert fits["falcon-7b"]["qlora nf4"]
    assert all(fits["tiny-qwen"].values())
    assert not any(fits["qwen2.5-72b"].values())
    for ways in found.values():
        for way in ways:
            assert ("memory" in way) != bool(way["problems"])
            assert way["fits"] == ("memory" in way and way["memory"]["total"] <= 16 * 10**9)


def test_more_memory_never_loses_a_model(run: Run) -> None:
    def fitting(memory: str) -> set[tuple[str, str]]:
        models = data(run("models", "list", "--fits", memory, "--json"))
        return {(model["name"], way["way"]) for model in models for way in model["training"] if way["fits"]}

    small, middle, large = fitting("8192MB"), fitting("24GiB"), fitting("80GB")
    assert small < middle < large


def test_what_fits_for_people(run: Run) -> None:
    said = run("models", "list", "--fits", "16GB")
    assert said.code == 0
    lines = said.out.splitlines()
    header = ["--model", "parameters", *WAYS]
    assert lines[0].split() == " ".join(header).split()
    shown = {line.split()[0] for line in lines[1 : lines.index("")]}
    assert "shape:mistral-7b" in shown
    assert "shape:qwen2.5-72b" not in shown
    assert f"{len(shown)} of {len(NAMES)} models can be tuned in 16GB" in said.out
    assert all(len(line) <= 120 for line in lines)


def test_nothing_fits_in_next_to_nothing(run: Run) -> None:
    assert run("models", "list", "--fits", "1kB").out == f"none of {len(NAMES)} models can be tuned in 1kB\n"


@pytest.mark.parametrize("written", ["16", "16G", "lots", "-1GB", "1e3GB", "16 GB RAM", "", "٣GB"])
def test_an_amount_of_memory_that_is_none(run: Run, written: str) -> None:
    said = run("models", "list", "--fits", written)
    assert said.code == 2
    assert said.err.startswith(f"Error: --fits '{written}' is no amount of memory: give a number and a unit")


def test_no_memory(run: Run) -> None:
    said = run("models", "list", "--fits", "0GB")
    assert said.code == 2
    assert "is no memory at all" in said.err


@pytest.mark.parametrize(
    ("written", "count"),
    [("16GB", 16 * 10**9), ("24GiB", 24 * 2**30), ("8192MB", 8192 * 10**6), ("1.5 tib", 3 * 2**39), ("512b", 512)],
)
def test_amounts_of_memory(written: str, count: int) -> None:
    assert amounts.memory("--fits", written) == count


def test_an_amount_too_small_to_be_a_byte() -> None:
    with pytest.raises(UsageError, match="no memory at all"):
        amounts.memory("--fits", "0.5b")


@pytest.mark.parametrize(
    ("count", "said"),
    [(999, "999"), (767_360, "767K"), (494_032_768, "494M"), (7_615_616_512, "7.62B"), (9_996_000_000, "10.0B"),
     (32_763_876_352, "32.8B"), (99_960_000_000, "100B"), (140_620_634_112, "141B")],
)  # fmt: skip
def test_numbers_of_parameters(count: int, said: str) -> None:
    assert amounts.parameters(count) == said


def test_numbers_of_tokens() -> None:
    assert [amounts.tokens(n) for n in (1024, 40960, 2000, 0)] == ["1K", "40K", "2,000", "0"]


@pytest.mark.parametrize("name", ["qwen2.5-7b", "shape:qwen2.5-7b"])
def test_a_shape_for_people(run: Run, name: str) -> None:
    said = run("models", "show", name)
    assert said.code == 0
    for words in (
        "--model Qwen/Qwen2.5-7B (the weights, from the hub), or --model shape:qwen2.5-7b (random ones)",
        "qwen2, family qwen, template qwen2.5",
        "7,615,616,512 (7.61 billion, as published)",
        "28, hidden size 3,584, intermediate 18,944",
        "152,064 tokens",
        "131,072 tokens",
        "apache-2.0",
        "bf16 14.2 GiB",
        "one sample of 512 tokens at a time on a GPU, LoRA of rank 16",
    ):
        assert words in " ".join(said.out.split()), words
    assert [way for way in WAYS if any(line.startswith(way) for line in said.out.splitlines())] == WAYS
    assert all(len(line) <= 120 for line in said.out.splitlines())


def test_a_shape_as_json(run: Run) -> None:
    found = data(run("models", "show", "falcon-7b", "--json"))
    assert found["config"] == catalogue().entry("falcon-7b").config
    assert found["published_billions"] == "7.22"
    sizes = found["weights_by_precision"]
    assert list(sizes) == ["fp32", "bf16", "int8", "nf4"]
    assert sizes["fp32"] == 2 * sizes["bf16"] > 3 * sizes["int8"] > 3 * sizes["nf4"]
    totals = {way["way"]: way["memory"]["total"] for way in found["training"]}
    assert totals["full"] > totals["lora bf16"] > totals["lora int8"] > totals["qlora nf4"]
    assert all(way["memory"]["tokens"] == 512 and way["memory"]["samples"] == 1 for way in found["training"])


def test_a_mixture_of_experts_says_what_cannot_be_quantized(run: Run) -> None:
    said = run("models", "show", "mixtral-8x7b")
    assert "46,702,792,704 (46.7 billion, as published), 12,879,925,248 of them active" in " ".join(said.out.split())
    assert "not lora int8 and qlora nf4" in said.out
    assert "fused experts" in said.out


def test_a_built_in_model_keeps_its_card(run: Run) -> None:
    card = catalogue().card("tiny-qwen")
    found = data(run("models", "show", "tiny-qwen", "--json"))
    assert found["card"] == card
    assert found["weights"] == "built-in"
    said = run("models", "show", "tiny-qwen")
    rows = {tuple(line.split()) for line in said.out.splitlines()}
    for skill, score in card["skills"].items():
        assert (skill, f"{score:.0%}") in rows
    for task, curve in card["few_shot"].items():
        assert (task, *(f"{right:.0%}" for right in curve.values())) in rows
    assert card["recipe"]["command"] in said.out
    assert "tiny-qwen (comes with graftlm)" in said.out


@pytest.mark.parametrize("as_json", [(), ("--json",)])
def test_every_model_can_be_shown(run: Run, as_json: tuple[str, ...]) -> None:
    for name in NAMES:
        assert run("models", "show", name, *as_json).code == 0, name


def test_a_folder(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    shutil.copytree(catalogue().entry("tiny-mistral").folder or "", folder)
    found = data(run("models", "show", folder, "--json"))
    known = data(run("models", "show", "tiny-mistral", "--json"))
    assert found["parameters"] == known["parameters"]
    assert found["training"] == known["training"]
    assert found["weights"] == "folder"
    assert "card" not in found
    assert f"--model {folder}" in run("models", "show", folder).out


def test_a_folder_of_an_unknown_architecture(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    shutil.copytree(catalogue().entry("tiny-mistral").folder or "", folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8")) | {"model_type": "gpt2"}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    said = run("models", "show", folder)
    assert said.code == 0
    assert "no family" in said.out
    assert "gpt2" in said.out
    assert data(run("models", "show", folder, "--json"))["training"][0]["problems"]


def test_an_unknown_name(run: Run) -> None:
    said = run("models", "show", "qwn3-8b")
    assert said.code == 2
    assert "unknown model 'qwn3-8b'. Did you mean 'shape:qwen3-8b'?" in said.err


def test_showing_a_shape_writes_nothing(run: Run, home: Path) -> None:
    assert run("models", "show", "qwen3-8b").code == 0
    assert not (home / "cache" / "shapes").exists()
