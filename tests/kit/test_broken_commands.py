"""Faults of a command, each caught by the check that asks for it."""

from __future__ import annotations

import pytest
from broken import Fault, is_caught
from common_faults import common_faults

SPEC = '        name="acme",\n'
DOC = '    """Say how long the texts of FILE are, a JSONL file of rows."""\n'
LAX = "\nLAX = {'ignore_unknown_options': True, 'allow_extra_args': True}\n"
UNREADABLE = '        raise UsageError(f"{file} cannot be read: {error}") from None\n'
FAULTS = (
    *common_faults("command", ""),
    Fault(
        "a function that is no command",
        {"@click.command()\n": ""},
        "test_its_target_is_a_click_command",
        ("is a function, and no click command", "@click.command()"),
    ),
    Fault(
        "graftlm's own name",
        {SPEC: '        name="train",\n', 'command = "acme"': 'command = "train"'},
        "test_no_command_of_graftlm_hides_it",
        ("graftlm has a command 'graftlm train' of its own",),
    ),
    Fault(
        "graftlm's own name as an alias",
        {SPEC: SPEC + '        aliases=("chat",),\n'},
        "test_no_command_of_graftlm_hides_it",
        ("graftlm has a command 'graftlm chat' of its own",),
    ),
    Fault(
        "a group that there is not",
        {SPEC: SPEC + '        group="tools",\n'},
        "test_no_command_of_graftlm_hides_it",
        ("wants to stand under 'tools', and graftlm has no such group",),
    ),
    Fault(
        "a group that takes none",
        {SPEC: SPEC + '        group="data",\n'},
        "test_no_command_of_graftlm_hides_it",
        ("'data', which takes no commands of plugins",),
    ),
    Fault(
        "a group that does not list it",
        {SPEC: SPEC + '        group="data",\n'},
        "test_graftlm_s_help_lists_it",
        ("'graftlm data --help' does not list 'acme'",),
    ),
    Fault(
        "heavy when it is called",
        {"import click\n": "import click\nimport numpy\n"},
        "test_its_help_comes_at_once",
        ("'graftlm acme --help' imports numpy",),
    ),
    Fault("no words", {DOC: ""}, "test_its_help_comes_at_once", ("does not say what it does", "a docstring")),
    Fault(
        "a help that fails",
        {"@click.command()\n": "@click.command(cls=type('Own', (click.Command,), {'get_help': None}))\n"},
        "test_its_help_comes_at_once",
        ("ended with exit code 1",),
    ),
    Fault(
        "any flag will do",
        {"@click.command()\n": "@click.command(context_settings=LAX)\n", "import click\n": "import click\n" + LAX},
        "test_a_flag_that_it_does_not_know_is_refused",
        ("ended with exit code 0", "--there-is-no-such-flag", "an unknown flag is an error with code 2"),
    ),
    Fault(
        "what should work fails",
        {"lengths[len(lengths) // 2]": "lengths[len(lengths)]"},
        "test_what_works_works",
        ("ended with exit code 1", "IndexError"),
    ),
    Fault(
        "an error of Python",
        {"    except (OSError, UnicodeDecodeError) as error:\n": "    except UnicodeDecodeError as error:\n",
         "    except ValueError as error:": "    except KeyError as error:"},
        "test_what_is_wrong_is_said_in_a_sentence",
        ("lets an error of Python through", "raise a GraftlmError"),
    ),
    Fault(
        "nothing said",
        {"raise DataError(f\"{file}:{number} is no JSON: {error}\") from None": "continue",
         'raise DataError(f"{file} has no texts" + (f" in a field {field}" if field else ""))': "return"},
        "test_what_is_wrong_is_said_in_a_sentence",
        ("ended as if all were well",),
    ),
    Fault(
        "an exit without a word",
        {UNREADABLE: "        raise SystemExit(2) from None\n"},
        "test_what_is_wrong_is_said_in_a_sentence",
        ("says nothing on stderr", "'Error: '"),
    ),
    Fault(
        "an exit code of its own",
        {UNREADABLE: "        raise SystemExit(77) from None\n"},
        "test_what_is_wrong_is_said_in_a_sentence",
        ("ended with exit code 77",),
    ),
)  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_fault_is_caught(fault: Fault) -> None:
    is_caught("command", fault)
