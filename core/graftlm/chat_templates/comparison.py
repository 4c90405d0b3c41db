"""Does a prompt template write what the model's own chat template writes?"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from graftlm.contracts.conversation import Conversation, Message, RenderOptions
from graftlm.contracts.errors import DataError, ModelError
from graftlm.contracts.specs import PromptTemplate
from graftlm.contracts.template_model import RenderRequest

from .corpus import CORPUS
from .own import OwnTemplate


@dataclass(frozen=True, slots=True)
class OwnText:
    """What the model's own template makes of one case: ``text``, or None and the words of its ``refusal``.

    ``turns`` are role and content of the messages. ``weighs``: a difference here is a mismatch. What a model is given
    when it is asked weighs: training puts the same before its answers. After the last answer, and with odd white
    space, the releases of one template differ among themselves.
    """

    case: str
    turns: tuple[tuple[str, str], ...]
    generation_prompt: bool
    thinking: bool
    text: str | None
    refusal: str = ""
    weighs: bool = True


@dataclass(frozen=True, slots=True)
class Difference:
    """Two texts of one case; ``ours`` is None where our template refuses what the model's own renders."""

    case: str
    ours: str | None
    own: str
    refusal: str = ""
    weighs: bool = True

    def __str__(self) -> str:
        shown = f"refused: {self.refusal}" if self.ours is None else first_difference(self.ours, self.own)
        return f"{self.case}: {shown}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """``compared`` cases were rendered by both; the model's own template ``refused`` others, which count for nothing.
    ``differences`` holds a case that ours refuses and the model's own renders as well.
    """

    compared: int
    refused: int
    differences: tuple[Difference, ...]

    @property
    def equal(self) -> bool:
        return not self.differences

    @property
    def proved(self) -> bool:
        """Equal, and not for want of anything to compare."""
        return bool(self.compared) and self.equal

    @property
    def mismatches(self) -> tuple[Difference, ...]:
        """The differences that weigh."""
        return tuple(difference for difference in self.differences if difference.weighs)


def own_texts(model: OwnTemplate) -> tuple[OwnText, ...]:
    """The corpus as the model's own template writes it, in one round trip.

    ``ModelError`` where it renders nothing at all (it has none, or a broken one), and where it runs over its limits:
    then some cases were not tried.
    """
    cases = [(case, prompt, thinking) for case in CORPUS for prompt in case.prompts for thinking in (False, True)]
    done = model.render_all(
        [
            RenderRequest(
                [{"role": role, "content": words} for role, words in case.turns],
                variables={"add_generation_prompt": prompt, "enable_thinking": thinking},
            )
            for case, prompt, thinking in cases
        ]
    )
    broken = [answer for answer in done if isinstance(answer, ModelError)]
    if broken and not any(hasattr(answer, "text") for answer in done):
        raise broken[0]
    return tuple(
        OwnText(
            case=_label(case.name, prompt, thinking),
            turns=case.turns,
            generation_prompt=prompt,
            thinking=thinking,
            text=None if isinstance(answer, Exception) else answer.text,
            refusal=str(answer) if isinstance(answer, Exception) else "",
            weighs=prompt and not case.odd,
        )
        for (case, prompt, thinking), answer in zip(cases, done, strict=True)
    )


def compare(template: PromptTemplate, texts: Iterable[OwnText]) -> Comparison:
    """Our texts, without what training adds, against the model's own. Thinking is switched on only where the template
    knows how to. A template that is made for a model is given bound to it.
    """
    compared = refused = 0
    differences: list[Difference] = []
    for own in texts:
        if own.thinking and not template.thinking:
            continue
        if own.text is None:
            refused += 1
            continue
        turns = tuple(Message(role, words, False) for role, words in own.turns)  # type: ignore[arg-type] # texts alone
        options = RenderOptions(generation_prompt=own.generation_prompt, thinking=own.thinking)
        compared += 1
        try:
            spans = template.render(Conversation(turns), options)
        except DataError as error:
            differences.append(Difference(own.case, None, own.text, str(error), own.weighs))
            continue
        ours = "".join(span.text for span in spans if not span.added)
        if ours != own.text:
            differences.append(Difference(own.case, ours, own.text, weighs=own.weighs))
    return Comparison(compared, refused, tuple(differences))


def digest_of(model: OwnTemplate) -> str:
    """SHA-256 of all that decides ``own_texts``: sources, special tokens, the day where they ask for it, and what
    renders them.
    """
    sources = (model.chat_template, model.tool_template)
    today = model.today.isoformat() if model.asks_for_the_date else ""
    value = [_code(), sources, sorted(model.special_tokens.items()), today]
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


@lru_cache(maxsize=1)
def _code() -> tuple[str, str]:
    """A digest of this package's sources, the corpus among them, and the version of jinja2."""
    whole = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        whole.update(f"{path.name}\0".encode() + path.read_bytes())
    try:
        return whole.hexdigest(), metadata.version("jinja2")
    except metadata.PackageNotFoundError:
        return whole.hexdigest(), ""  # rendering says what to install


def first_difference(ours: str, own: str, around: int = 24) -> str:
    """A picture of where two texts part: the place (characters, from 0), and some of both, with a caret below.

    Empty where they are equal.
    """
    if ours == own:
        return ""
    pairs = zip(ours, own, strict=False)
    at = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(ours), len(own)))
    begin = max(0, at - around)
    before = ("…" if begin else "") + _visible(ours[begin:at])
    lines = [f"they part at character {at}"]
    for name, text in (("ours", ours), ("own", own)):
        after = _visible(text[at : at + around]) + ("…" if len(text) > at + around else "")
        lines.append(f"  {name:4}  {before}{after or '(its end)'}")
    return "\n".join([*lines, f"        {' ' * len(before)}^"])


def _visible(text: str) -> str:
    """Without quotes, and with nothing in it that a terminal would obey."""
    return "".join(repr(c)[1:-1] if c != "'" else c for c in text)


def _label(case: str, prompt: bool, thinking: bool) -> str:
    said: Sequence[str] = [*["generation prompt"] * prompt, *["thinking"] * thinking]
    return f"{case} ({', '.join(said)})" if said else case
