"""Names of adapters, in every trick: refused in a short sentence that can be printed, and no file is made."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from graftlm.contracts.errors import StoreError
from graftlm_registry.adapters import AdapterStore
from graftlm_registry.adapters.names import LONGEST, RESERVED, check_name

TRICKS = {
    "empty": "",
    "a blank": " ",
    "a dot": ".",
    "two dots": "..",
    "three dots": "...",
    "the folder above": "../skill",
    "a folder above, within": "a/../../skill",
    "absolute": "/etc/passwd",
    "a slash at the end": "skill/",
    "a slash within": "a/b",
    "a backslash": "a\\b",
    "the folder above, on Windows": "..\\skill",
    "a drive": "c:skill",
    "a share": "\\\\host\\share",
    "a stream of a file": "skill:stream",
    "a home": "~root",
    "a variable": "$HOME",
    "a variable of Windows": "%TEMP%",
    "a command": "$(touch canary)",
    "a command in quotes": "`touch canary`",
    "two commands": "a;touch canary",
    "a pipe": "a|b",
    "a redirection": "a>b",
    "a flag": "-rf",
    "a long flag": "--help",
    "a wild card": "*",
    "a wild card of one": "skill?",
    "a set": "[a-z]",
    "quotes": '"skill"',
    "upper case": "Skill",
    "an upper-case letter at the end": "skilL",
    "a capital I with a dot": "sk\u0130ll",
    "a dotless i": "sk\u0131ll",
    "a long s": "\u017fkill",
    "a Kelvin sign": "s\u212aill",
    "a sharp s": "stra\u00dfe",
    "an accent": "\u00e9clair",
    "an accent by itself": "e\u0301clair",
    "a Cyrillic a": "sk\u0430ll",
    "a Greek o": "m\u03bfdel",
    "wide letters": "\uff53kill",
    "mathematical letters": "\U0001d42c\U0001d424\U0001d422\U0001d425\U0001d425",
    "a ligature": "\ufb01ne",
    "Arabic digits": "skill\u0663",
    "a superscript": "com\u00b9",
    "an emoji": "skill\U0001f600",
    "turned direction": "skill\u202egpj",
    "an isolate": "\u2066skill\u2069",
    "no width": "sk\u200bill",
    "a joiner": "sk\u200dill",
    "a soft hyphen": "sk\u00adill",
    "a byte order mark": "\ufeffskill",
    "a blank that does not break": "sk\u00a0ill",
    "half a character": "sk\ud800ill",
    "half a byte": "sk\udcffill",
    "a NUL": "skill\0",
    "a NUL and an ending": "skill\0.json",
    "a line break at the end": "skill\n",
    "a carriage return": "skill\r",
    "a tab": "skill\tx",
    "a line separator": "skill\u2028x",
    "an escape": "\x1b[2Jskill",
    "an escape of one byte": "\x9b2Jskill",
    "a bell": "skill\a",
    "a backspace": "skill\b\b",
    "a blank in front": " skill",
    "a blank at the end": "skill ",
    "a dot in front": ".skill",
    "a dot at the end": "skill.",
    "two dots within": "a..b",
    "a dot before a dash": "a.-b",
    "an underline in front": "_skill",
    "a version": "skill@1",
    "a percent sign": "%2e%2e%2fskill",
    "a plus": "a+b",
    "a comma": "a,b",
    "an equals sign": "a=0.7",
    "a hash": "a#b",
    "a letter too many": "a" * (LONGEST + 1),
    "ten million letters": "a" * 10_000_000,
    "ten million dots": "a" + ".a" * 5_000_000,
}
WORDS = [made for word in sorted(RESERVED) for made in (word, word.upper(), f"{word}.json", f"{word}.a.b")]


@pytest.mark.parametrize("trick", TRICKS)
def test_a_trick_is_refused(trick: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is not a name for an adapter") as refused:
        check_name(TRICKS[trick])
    sentence = str(refused.value)
    assert sentence.isascii()
    assert sentence.isprintable()
    assert len(sentence) < 1200
    store = AdapterStore(tmp_path / "store")
    for ask in (store.get, store.path):
        with pytest.raises(StoreError):
            ask(TRICKS[trick])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("word", WORDS)
def test_words_that_windows_keeps_are_refused(word: str) -> None:
    with pytest.raises(StoreError, match="is not a name for an adapter"):
        check_name(word)


@given(st.text(max_size=70) | st.text(alphabet="aA0.-_@/\\\0\u202e \u0131", max_size=8))
@example("a" * LONGEST)
def test_a_name_is_itself_or_refused_in_words_that_can_be_printed(name: str) -> None:
    try:
        assert check_name(name) == name == name.casefold().strip()
    except StoreError as error:
        assert str(error).isprintable()  # noqa: PT017


def test_the_tricks_are_many() -> None:
    assert len(set(TRICKS.values())) == len(TRICKS)
    assert len(TRICKS) + len(WORDS) >= 150
