"""Kinds of errors: what is the matter with a wrong answer, by rules, the first that fits.

- ``too-long``: the prompt does not fit the model's positions, so that nothing was asked.
- ``empty``: nothing was said.
- ``refuses``: it begins like a refusal (``REFUSALS``), and the right answer does not.
- ``other-language``: most of its letters are of another script than the right answers' (and this right answer's).
- ``run-on``: the right answer with more behind it, or what did not end by itself within the room that there was.
- ``wrong-format``: right answers are classes and it names none, or only in other writing; or they are all JSON, numbers
  or of one shape, and it is not.
- ``wrong-label``: it names another class.
- ``wrong-answer``: all else.

A refusal and another language come before run-on: a chatty answer is nearly always cut off, and that says less.
"""

from __future__ import annotations

import unicodedata
from typing import Literal, get_args

from graftlm.data.splitting import folded

from .expected import Expected, has_shape
from .words import bare, goes_on, script

Kind = Literal[
    "too-long", "empty", "refuses", "other-language", "run-on", "wrong-format", "wrong-label", "wrong-answer"
]  # fmt: skip
KINDS: tuple[Kind, ...] = get_args(Kind)
MEANINGS: dict[Kind, str] = {
    "too-long": "the prompt does not fit the model's positions",
    "empty": "nothing was said",
    "refuses": "begins like a refusal",
    "other-language": "in another script than the right answers",
    "run-on": "the right answer and then more, or no end",
    "wrong-format": "names no class, or has another form than the right answers",
    "wrong-label": "names another class",
    "wrong-answer": "in the right form, with other words",
}
REFUSALS = (
    "i'm sorry", "i am sorry", "sorry, i", "sorry, but", "my apologies", "i apologize", "i apologise",
    "i cannot", "i can't", "i can not", "i could not", "i won't", "i will not", "i must decline", "i have to decline",
    "i'm unable", "i am unable", "i'm not able", "i am not able", "unfortunately, i", "as an ai", "as a language model",
    "as a large language model",
    "对不起", "抱歉", "很抱歉", "非常抱歉", "不好意思", "我不能", "我无法", "我没有办法", "无法回答",
    "作为一个ai", "作为ai", "作为一个人工智能", "作为人工智能", "作为一个语言模型", "作为一个大语言模型",
    "對不起", "我無法", "無法回答", "作為一個ai", "作為一個人工智慧",
)  # fmt: skip
"""How refusals begin, in English and Chinese, folded."""
STRAIGHT = str.maketrans({"’": "'", "‘": "'", "`": "'"})


def error_kind(said: str, ended: bool, wanted: str, right: Expected, *, fits: bool = True) -> Kind:
    """The kind of a wrong answer; ``ended``: by itself, not by running out of tokens. The prompt ``fits`` the model."""
    if not fits:
        return "too-long"
    if not said.strip():
        return "empty"
    if refuses(said) and not refuses(wanted):
        return "refuses"
    written = script((said,))
    if written and right.script and written not in (right.script, script((wanted,))):
        return "other-language"
    if not ended or (goes_on(folded(said), folded(wanted)) and bare(said) != bare(wanted)):
        return "run-on"
    if right.classes:
        named = right.named(said)
        if not named or named == folded(wanted):
            return "wrong-format"
        return "wrong-label"
    if right.shape and not has_shape(said, right.shape):
        return "wrong-format"
    return "wrong-format" if bare(said) == bare(wanted) else "wrong-answer"


def refuses(text: str) -> bool:
    """Quotes of any kind count as straight ones, and what is no letter before the first words does not count."""
    words = folded(unicodedata.normalize("NFKC", text)).translate(STRAIGHT)
    return words.lstrip("\"'*-#>… ").startswith(REFUSALS)
