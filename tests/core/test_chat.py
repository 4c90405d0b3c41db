"""``graftlm chat``, as people have it: a process, lines in, answers out; on a terminal and in a pipe."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Said
from test_from_adapter import World, little_to_collect
from test_session import gone, talkative

from graftlm.running.answer import answer
from graftlm.testing.in_process import start_in_process
from graftlm_registry.plugins import registry

Run = Callable[..., Said]
GRAFTLM = [sys.executable, "-m", "graftlm"]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, _probed: Path) -> Iterator[World]:
    world = talkative(World(tmp_path_factory.mktemp("chat"), _probed))
    with little_to_collect():
        world.train_all(
            {"one": {}, "two": {"seed": 2, "rank": 4}, "half": {"dtype": "bf16"}, "full": {"method": "full"}}
        )
        yield world


@pytest.fixture
def world(built: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    built.copy(tmp_path / "graftlm", monkeypatch)
    return built


def chat(*arguments: str, lines: str, tokens: int = 9) -> subprocess.CompletedProcess[str]:
    command = [*GRAFTLM, "chat", *arguments, "--max-new-tokens", str(tokens)]
    return subprocess.run(command, input=lines, capture_output=True, text=True, env=os.environ | {"COLUMNS": "100"})


def expected(name: str, question: str) -> str:
    return answer(name, [question], registry(), lambda e: None, 9, start=start_in_process)[0]


def test_a_conversation_in_a_pipe(world: World, tmp_path: Path) -> None:
    """Its answers on standard output, one line each; all else beside it."""
    saved = tmp_path / "talk.jsonl"
    done = chat(
        "one", "--system", "Be terse.",
        lines=f"Name the colour.\n/system\n/reset\nName the colour.\n/adapter two\n/reset\nName the colour.\n"
        f"/base\n/reset\nName the colour.\nand now?\n/save {saved}\n/adapters\n/help\n/quit\nnever read\n",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.split("\n")
    assert lines[1] == expected("one", "Name the colour.")
    assert lines[2] == expected("two", "Name the colour.")
    assert lines[3] == expected(str(world.model), "Name the colour.").replace("\n", " ") or "\n" in done.stdout
    assert len(re.findall(r"\d+ tokens?, .*first after \d+ ms", done.stderr)) == 5
    assert re.search(r"two@1 loaded in \d+ ms\ntwo@1 answers from here on", done.stderr)
    assert len(re.findall(r"swap \d+\.\d ms", done.stderr)) == 3
    assert "* mistral" in done.stderr
    assert "/compare [TEXT]" in done.stderr
    assert "/quit or /exit" in done.stderr
    row = json.loads(saved.read_text())
    assert [message["role"] for message in row["messages"]] == ["user", "assistant"] * 2
    assert row["messages"][2]["content"] == "and now?"


def test_the_history_is_read_and_can_be_forgotten_and_asked_again(world: World) -> None:
    done = chat("one", lines="hi\nName the colour.\n/retry\n/reset\nName the colour.\n/reset\n/retry\n")
    _, after, again, fresh, *_ = done.stdout.split("\n")
    assert after == again
    assert fresh == expected("one", "Name the colour.")
    assert "Error: there is no question yet" in done.stderr
    assert done.returncode == 2, "a pipe must hear of what was refused"


def test_all_are_compared_side_by_side(world: World) -> None:
    done = chat("one", "--adapter", "two", lines="/compare\n/compare Name the colour.\nhi\n/compare\n")
    names, *body = done.stdout.split("\n")
    assert [cell.strip() for cell in names.split("│")] == ["one@1", "two@1", "mistral"]
    assert [cell.strip() for cell in body[0].split("│")][:2] == [
        expected("one", "Name the colour."), expected("two", "Name the colour."),
    ]  # fmt: skip
    assert len(re.findall(r"3 answers, 3 of them in one batch: \d+ tokens in", done.stderr)) == 2
    assert "Error: there is no question yet: say /compare TEXT" in done.stderr
    assert done.stdout.count("one@1") == 2


def test_what_cannot_be_is_a_sentence_and_the_chat_goes_on(world: World, tmp_path: Path) -> None:
    done = chat(
        "one",
        lines="/adapter nobody\n/adapter half\n/adapter full\n/compere\n/save\n"
        f"/save {tmp_path}\n//x\n/save {tmp_path}\n",
    )
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    for words, error in zip(
        (
            "unknown adapter 'nobody'",
            "one@1 is of mistral in fp32, half@1 of mistral in bf16: chat with one at a time",
            "full@1 (method full) replaces the base's own weights: it can only be used alone",
            "Did you mean '/compare'?",
            "/save FILE: name a new file",
            "there is nothing to save yet",
            "exists already",
        ),
        errors,
        strict=True,
    ):
        assert words in error
    assert done.returncode == 2
    assert "tokens" in done.stderr.splitlines()[-2] or "token" in done.stderr.splitlines()[-2]


def test_what_stands_alone_is_chatted_with_alone(world: World) -> None:
    done = chat("full", lines="Name the colour.\n/base\n/compare\n/adapter one\nName the colour.\n")
    assert done.stdout.split("\n")[0] == expected("full", "Name the colour.")
    assert (
        done.stderr.count("Error: full@1 (method full) replaces the base's own weights: it can only be used alone") == 3
    )


def test_wrong_names_and_flags(run: Run, world: World) -> None:
    for arguments, words in (
        (("nobody",), "nobody is neither an adapter"),
        (("one", "--adapter", "nobody"), "unknown adapter 'nobody'"),
        (("one", "--adapter", "half"), "chat with one at a time"),
        (("one", "--max-new-tokens", "0"), "--max-new-tokens must be at least 1"),
        (("one", "--temperature", "-1"), "--temperature must be from 0"),
        (("one", "--seed", "3"), "--seed is for sampling: say --temperature too"),
        (("one", "--system", "\udcff"), "is not UTF-8 text"),
    ):
        os.environ["GRAFTLM_HOME"] = str(world.home)
        refused = run("chat", *arguments)
        assert (refused.code, refused.out) == (2, "")
        assert words in refused.err


class Terminal:
    """A chat on a terminal of its own, where Ctrl-C is a key."""

    def __init__(self, *arguments: str, tokens: int) -> None:
        pid, self.descriptor = pty.fork()
        if pid == 0:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.environ["TERM"] = "dumb"
            os.execv(sys.executable, [*GRAFTLM, "chat", *arguments, "--max-new-tokens", str(tokens)])
        self.pid, self.seen = pid, ""

    def until(self, words: str, patience: float = 90) -> str:
        """What is shown up to those words; they are looked for after what was waited for last."""
        end = time.monotonic() + patience
        while words not in self.seen:
            assert time.monotonic() < end, f"{words!r} did not come: {self.seen!r}"
            if select.select([self.descriptor], [], [], 0.2)[0]:
                try:
                    self.seen += os.read(self.descriptor, 1 << 16).decode(errors="replace")
                except OSError:
                    break
        before, found, self.seen = self.seen.partition(words)
        assert found, f"{words!r} did not come: {before!r}"
        return before

    def type(self, keys: str) -> None:
        os.write(self.descriptor, keys.encode())

    def interrupt(self, words: str) -> str:
        """Ctrl-C until what it brings is shown: one in the moment between readline's prompt and its wait is seen with
        the next key only, by Python's own `input`.
        """
        for _ in range(6):
            self.type("\x03")
            try:
                return self.until(words, patience=10)
            except AssertionError as late:
                missed = late
        raise missed

    def interrupted(self) -> tuple[int, bool]:
        """Its exit code after Ctrl-C (see :meth:`interrupt`), and whether it asked for one more."""
        code = self.end(every=10)
        return code, "again leaves" in self.seen

    def end(self, patience: float = 90, every: float | None = None) -> int:
        """Its exit code; Ctrl-C is typed every so many seconds until then, if at all."""
        end, typed = time.monotonic() + patience, -1e9
        while True:
            if time.monotonic() > end:
                os.kill(self.pid, signal.SIGKILL)
            if every and time.monotonic() > typed + every:
                typed = time.monotonic()
                self.type("\x03")
            if not select.select([self.descriptor], [], [], 0.2)[0]:
                continue
            try:
                read = os.read(self.descriptor, 1 << 16)
            except OSError:
                break
            if not read:
                break
            self.seen += read.decode(errors="replace")
        os.close(self.descriptor)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_ctrl_c_stops_the_answer_and_not_the_chat(world: World) -> None:
    terminal = Terminal(str(world.model), tokens=8000)
    terminal.until("mistral> ")
    terminal.type("talk\n")
    time.sleep(2)
    terminal.type("\x03")
    assert "tokens/s" in terminal.until("stopped")
    terminal.until("mistral> ")
    terminal.type("/adapter one\n")
    terminal.until("one@1> ")
    terminal.interrupt("(Ctrl-C again leaves, and so does Ctrl-D)")
    terminal.type("/retry\n")
    terminal.until("first after")
    terminal.until("one@1> ")
    terminal.type("\x04")
    assert terminal.end() == 0


def test_a_second_ctrl_c_leaves(world: World) -> None:
    terminal = Terminal("one", tokens=8000)
    terminal.until("one@1> ")
    terminal.interrupt("(Ctrl-C again leaves")
    assert terminal.interrupted() == (130, False)


def test_a_signal_in_a_pipe(world: World) -> None:
    """SIGINT stops the answer, SIGTERM the chat; its worker goes with it."""
    process = subprocess.Popen(
        [*GRAFTLM, "chat", str(world.model), "--max-new-tokens", "8000"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdin.write(b"talk\n")
    process.stdin.flush()
    assert process.stdout.read(5)
    process.send_signal(signal.SIGINT)
    line = process.stderr.readline().decode()
    assert line.endswith(", stopped\n"), line
    (worker,) = children(process.pid)
    process.stdin.write(b"/reset\ntalk\n")
    process.stdin.flush()
    assert process.stderr.readline() == b"the conversation begins anew\n"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=90)
    assert process.returncode == 128 + signal.SIGTERM
    assert gone(worker)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_killed_worker_ends_the_chat_with_a_sentence(world: World) -> None:
    process = subprocess.Popen(
        [*GRAFTLM, "chat", "one"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"Name the colour.\n")
    process.stdin.flush()
    assert process.stdout.readline()
    (worker,) = children(process.pid)
    os.kill(worker, signal.SIGKILL)
    _, err = process.communicate(b"and now?\n")
    assert process.returncode == 1
    assert b"Error: the worker died (SIGKILL, perhaps out of memory)" in err
