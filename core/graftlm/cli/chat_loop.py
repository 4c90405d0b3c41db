"""Lines of a chat: questions, and commands that begin with a slash."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import click

from .chat_state import Chat, note
from .side_by_side import side_by_side
from .terminal import visible

SHOWN = 20
"""Adapters that /adapters lists without being asked for more."""


def talk(chat: Chat) -> bool:
    """Until the lines end, or /quit. Whether something was refused that nobody saw: in a pipe."""
    terminal = sys.stdin.isatty()
    if terminal:
        _editing()
        company = f" with {', '.join(chat.loaded)}" if chat.loaded else ""
        note(
            f"{chat.base.name} loaded in {chat.session.load_seconds:.1f} s{company}; "
            "/help says what there is, Ctrl-D leaves"
        )
    refused = warned = False
    while True:
        try:
            line = _line(f"{chat.name}> " if terminal else "")
        except EOFError:
            if terminal:
                click.echo(err=True)
            return refused and not terminal
        except KeyboardInterrupt as stop:
            if not terminal or warned or type(stop) is not KeyboardInterrupt:
                raise
            warned = True
            note("\n(Ctrl-C again leaves, and so does Ctrl-D)")
            continue
        warned = False
        try:
            if _one(chat, line):
                return refused and not terminal
        except Exception as error:
            if not _shown(error, chat):
                raise
            refused = True


def _shown(error: Exception, chat: Chat) -> bool:
    """A refusal is a sentence, after which the chat goes on; not where there is nobody to chat with any more."""
    from graftlm.contracts.errors import GraftlmError, Interrupted

    if not isinstance(error, GraftlmError) or isinstance(error, Interrupted) or not chat.session.alive:
        return False
    click.echo(f"Error: {visible(str(error))}", err=True)
    return True


def _editing() -> None:
    """Arrow keys and a history of questions, where Python has them."""
    try:
        import readline  # noqa: F401
    except ImportError:
        pass


def _line(prompt: str) -> str:
    """The next line; one that ends with a backslash goes on in the next."""
    parts: list[str] = []
    while True:
        try:
            part = input(prompt) if prompt and sys.stdout.isatty() else _plain_line(prompt)
            part.encode()
        except UnicodeError:
            click.echo("Error: that line is not UTF-8 text", err=True)
            return ""
        if not part.endswith("\\"):
            return "\n".join([*parts, part])
        parts.append(part[:-1])
        prompt = prompt and "… "


def _plain_line(prompt: str) -> str:
    if prompt:
        click.echo(prompt, nl=False, err=True)
    line = sys.stdin.buffer.readline()
    if not line:
        raise EOFError
    return line.decode().rstrip("\r\n")


def _one(chat: Chat, line: str) -> bool:
    """A question or a command; whether it ends the chat. Two slashes begin a question that begins with one."""
    text = line.strip()
    if not text:
        return False
    if not text.startswith("/") or text.startswith("//"):
        chat.ask(text.removeprefix("/") if text.startswith("//") else text)
        return False
    name, _, rest = text[1:].partition(" ")
    if name in ("quit", "exit"):
        return True
    command = COMMANDS.get(name)
    if command is None:
        from graftlm.contracts.errors import UsageError
        from graftlm_registry.suggestions import unknown

        raise UsageError(unknown("command", f"/{name}", [f"/{each}" for each in (*COMMANDS, "quit")]))
    command[0](chat, rest.strip())
    return False


def _help(chat: Chat, rest: str) -> None:
    from .tables import table

    rows = [(f"/{name}{f' {given}' if given else ''}", what) for name, (_, given, what) in COMMANDS.items()]
    more = [("/quit or /exit", "leave, as Ctrl-D does"), ("Ctrl-C", "stop an answer")]
    click.echo(table([*rows, *more, ("…\\", "a line that ends with a backslash goes on in the next")]), err=True)


def _adapter(chat: Chat, name: str) -> None:
    from graftlm_registry.adapters import open_store

    if not name:
        note(f"{chat.name} answers; loaded: {', '.join([*chat.loaded, chat.base.name])}")
        return
    reference = open_store().get(name).reference
    if reference not in chat.loaded:
        seconds = chat.session.load(chat.base.guest(name))
        chat.loaded.append(reference)
        note(f"{reference} loaded in {seconds * 1000:,.0f} ms")
    chat.who = reference
    note(f"{reference} answers from here on")


def _base(chat: Chat, rest: str) -> None:
    chat.base.refuse_alone()
    chat.who = ""
    note(f"{chat.base.name} answers from here on, without an adapter")


def _compare(chat: Chat, question: str) -> None:
    chat.base.refuse_alone()
    found, last = chat.compare(question)
    cells = {name: answer["text"] if answer["fits"] else "(too long)" for name, answer in found.items()}
    click.echo(side_by_side(cells, shutil.get_terminal_size((110, 20)).columns))
    together = f", {len(last['mixed'])} of them in one batch" if last["mixed"] else ""
    said = f"{len(found)} answers{together}: {last['tokens']:,} tokens in {last['seconds']:.1f} s"
    note(f"{said}{', stopped' if last['stopped'] else ''}")


def _adapters(chat: Chat, rest: str) -> None:
    from graftlm_registry.adapters import open_store

    store = open_store()
    for each in [*chat.loaded, ""]:
        click.echo(f"{'*' if each == chat.who else ' '} {chat.shown(each)}", err=True)
    records = store.records(lambda error: None)
    others = [each.reference for each in records if chat.base.takes(each) and each.reference not in chat.loaded]
    if others:
        more = f", and {len(others) - SHOWN} more" if len(others) > SHOWN else ""
        note(f"/adapter loads one more: {', '.join(others[-SHOWN:])}{more}")


def _system(chat: Chat, text: str) -> None:
    chat.system = text
    note("the system text is set" if text else "there is no system text any more")


def _reset(chat: Chat, rest: str) -> None:
    chat.turns = []
    note("the conversation begins anew")


def _retry(chat: Chat, rest: str) -> None:
    chat.retry()


def _save(chat: Chat, name: str) -> None:
    from graftlm.contracts.errors import UsageError
    from graftlm.contracts.specs import DataFormat
    from graftlm.data.containers.writing import open_writer
    from graftlm_registry.plugins import registry

    if not name:
        raise UsageError("/save FILE: name a new file, such as talk.jsonl")
    if not chat.turns:
        raise UsageError("there is nothing to save yet")
    path = Path(name).expanduser()
    if os.path.lexists(path):
        raise UsageError(f"{path} exists already: name a new file")
    write = registry().get(DataFormat, "openai").write
    assert write is not None
    with open_writer(path) as writer:
        writer.write(write(chat.conversation(chat.turns)))
    note(f"written to {path}")


COMMANDS: Mapping[str, tuple[Callable[[Chat, str], None], str, str]] = {
    "adapter": (_adapter, "NAME", "go on through another adapter of the same base, which stays loaded"),
    "base": (_base, "", "go on with the base, without an adapter"),
    "compare": (_compare, "[TEXT]", "the last question, or TEXT, answered by every loaded adapter and the base"),
    "adapters": (_adapters, "", "who is loaded (* answers), and which other adapters there are"),
    "system": (_system, "TEXT", "set the system text; without TEXT there is none any more"),
    "retry": (_retry, "", "answer the last question again"),
    "reset": (_reset, "", "forget the conversation"),
    "save": (_save, "FILE", "write the conversation as one row of training data"),
    "help": (_help, "", "this list"),
}
"""What each does, what it takes, and what it is for."""
