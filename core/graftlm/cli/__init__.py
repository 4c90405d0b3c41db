"""The command line: one small file a command, imported when it is called."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from graftlm.running.stopping import catch_stops

from .open_group import OpenGroup

COMMANDS = {
    "train": ("graftlm.cli.train:train", "Train an adapter on DATA"),
    "plan": ("graftlm.cli.plan:plan", "Say what 'train' with the same flags will do"),
    "advise": ("graftlm.cli.advise:advise", "Say whether to tune at all: prompting first"),
    "gap": ("graftlm.cli.gap:gap", "Say where a model fails, and which rows would help"),
    "compare": ("graftlm.cli.compare:compare", "Train several on DATA: what each learned, and what it cost"),
    "eval": ("graftlm.cli.eval:evaluate", "Score models and adapters on DATA"),
    "repair": ("graftlm.cli.repair:repair", "Bring back what an adapter forgot, and keep what it learned"),
    "generate": ("graftlm.cli.generate:generate", "Answer a prompt, through an adapter or from a model"),
    "chat": ("graftlm.cli.chat:chat", "Talk with an adapter or a model; switch and compare adapters live"),
    "runs": ("graftlm.cli.runs:runs", "List, watch, stop and go on with runs"),
    "demo": ("graftlm.cli.demo:demo", "Teach a small model something new, and see what it cost"),
    "data": ("graftlm.cli.data:data", "Check, preview, split, convert and mix data"),
    "templates": ("graftlm.cli.templates:templates", "List, show, render and check prompt templates"),
    "adapters": ("graftlm.cli.adapters:adapters", "Find, compare, combine and move the adapters that are kept"),
    "store": ("graftlm.cli.store:store", "Check, clean and migrate the store of adapters"),
    "models": ("graftlm.cli.models:models", "List and show the base models that are known"),
    "plugins": ("graftlm.cli.plugins:plugins", "List, show, check and write plugins"),
    "envs": ("graftlm.cli.envs:envs", "Make and check the environments that some plugins run in"),
    "config": ("graftlm.cli.config:config", "The keys of a run's file, and files of other tools"),
    "bench": ("graftlm.cli.bench:bench", "Measure backends against each other, and check that they computed the same"),
    "doctor": ("graftlm.cli.doctor:doctor", "Say what a report of a problem needs"),
}


EXTRAS = {
    **dict.fromkeys(
        ("tokenizers", "numpy", "safetensors", "pyarrow", "jinja2", "huggingface_hub", "matplotlib", "backports"),
        "data",
    ),
    **dict.fromkeys(("torch", "transformers", "peft", "accelerate"), "peft"),
}
"""Packages that a command may need, and the extra that brings them."""


REFUSED = "GRAFTLM_NO_PLUGINS"  # as the registry's discovery reads it, which is imported late


class MainGroup(OpenGroup):
    """The built-in commands, then those of plugins."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            from graftlm_registry.suggestions import unknown

            raise click.UsageError(unknown("command", name, self.list_commands(ctx)))
        return super().resolve_command(ctx, args)


def _leave_out(ctx: click.Context, param: click.Parameter, names: Sequence[str]) -> None:
    """Workers that this process starts load no more than it does."""
    if not names:
        return
    from graftlm_registry.plugins import registry
    from graftlm_registry.suggestions import unknown

    os.environ[REFUSED] = ",".join((*names, os.environ.get(REFUSED, "")))
    registry.cache_clear()
    known = [plugin.name for plugin in registry().plugins]  # what is left out is known by name, and not imported
    for name in names:
        if name not in known:
            raise click.UsageError(unknown("plugin", name, known))


@click.group(
    cls=MainGroup, commands_by_name=COMMANDS, listed=True, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(package_name="graftlm", message="graftlm %(version)s")
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")  # main() reads it
@click.option(
    "--no-plugin",
    multiple=True,
    metavar="NAME",
    expose_value=False,
    callback=_leave_out,
    help="Load everything but this plugin (graftlm plugins list --trace has the names).",
)
def cli() -> None:
    """Train, keep and compare adapters for language models, with the backend that suits your machine.

    \b
    graftlm train data.jsonl --model tiny-mistral --name my-skill
    graftlm generate my-skill "…"
    """


def _global_ones_first(arguments: Sequence[str]) -> list[str]:
    """``--no-plugin NAME`` may stand anywhere."""
    first: list[str] = []
    rest: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == "--":
            return [*first, *rest, word, *words]
        if word == "--no-plugin":
            first += [word, *[name for name in [next(words, None)] if name is not None]]
        else:
            (first if word.startswith("--no-plugin=") else rest).append(word)
    return [*first, *rest]


def _check_text(arguments: Sequence[str]) -> None:
    """Whatever is no text cannot be written down; only a file that is there may be called so."""
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            if not any(map(os.path.lexists, (argument, argument.partition("=")[2]))):
                from graftlm.contracts.errors import UsageError

                raise UsageError(f"{os.fsencode(argument)!r} is not UTF-8 text, and no file is called so") from None


def main() -> None:
    """The console script: errors become sentences, and exit codes."""
    debug = "--debug" in sys.argv
    arguments = _global_ones_first([argument for argument in sys.argv[1:] if argument != "--debug"])
    before = os.environ.get(REFUSED)
    catch_stops()
    try:
        _check_text(arguments)
        sys.exit(cli(arguments, standalone_mode=False))
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except KeyboardInterrupt as stop:
        from graftlm.running.stopping import number_of

        sys.exit(128 + number_of(stop))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # as 'graftlm … | head' does
        sys.exit(0)
    except Exception as error:
        from graftlm.contracts.errors import GraftlmError, Interrupted

        if debug:
            raise
        if isinstance(error, ModuleNotFoundError) and (extra := EXTRAS.get((error.name or "").partition(".")[0])):
            click.echo(
                f"Error: this needs {error.name}, which is not installed: pip install 'graftlm[{extra}]'", err=True
            )
            sys.exit(2)
        if isinstance(error, OSError):
            full = error.errno == errno.ENOSPC
            click.echo(f"Error: {'the disk is full: free some space' if full else error}", err=True)
            sys.exit(2 if full else 1)
        if not isinstance(error, GraftlmError):
            click.echo(f"Error: {type(error).__name__}: {error} (a bug in graftlm: --debug shows where)", err=True)
            sys.exit(1)
        from .terminal import visible

        for i, line in enumerate(visible(str(error)).split("\n")):
            click.echo(line if i or isinstance(error, Interrupted) else f"Error: {line}", err=True)
        sys.exit(error.exit_code)
    finally:
        if before is None:  # what was left out was of this call alone
            os.environ.pop(REFUSED, None)
        else:
            os.environ[REFUSED] = before
