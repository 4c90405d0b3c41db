"""The model's own rendering as spans: contents found by letting other words stand in for them, answers by the prompt
that comes before each.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any

from graftlm.api import (
    Conversation,
    DataError,
    GraftlmError,
    Rendered,
    RenderOptions,
    RenderRequest,
    Span,
    TemplateModel,
)

from .model_layout import Layout, Turn, layout, spans, split
from .model_slots import THINK, THOUGHT, Draft, drafted, fixed_words, stand_ins

REWRITES = (
    "the model's own chat template rewrites earlier turns when later ones come, so what it says there is not what a "
    "model would write: use --train-on last, or a named template (--template)"
)
UNCLEAR = (
    "where the last answer begins and ends cannot be told in what the model's own chat template writes: use a named "
    "template (--template)"
)


class OwnRendering:
    """Renders conversations for one model. ``end_token`` ends an answer where the template has nothing there."""

    def __init__(self, model: TemplateModel, tokens: re.Pattern[str], end_token: str) -> None:
        self.model, self.tokens, self.end_token = model, tokens, end_token
        self.thoughts = THOUGHT in model.chat_template
        self.thinking = "enable_thinking" in model.chat_template
        self.marks = re.search(r"\{%[-+]?\s*generation\b", model.chat_template) is not None
        # Rows of one shape share a sketch. The cache does not refer back here: the model ends with its template.
        self._sketched = lru_cache(maxsize=512)(partial(_sketch, model))

    def render(self, conversation: Conversation, options: RenderOptions) -> list[Span]:
        """``DataError`` where a turn that is to be taught cannot be told apart, or words would become a token."""
        self._refuse_tokens(fixed_words(conversation))
        messages = conversation.messages
        draft = drafted(conversation, self.thoughts)
        answers = [i for i, message in enumerate(messages) if message.role == "assistant"]
        wanted = [self._asked(draft.real(), conversation, options.generation_prompt, options.thinking)]
        if not self.marks:
            wanted += [self._prompt(draft, i, options.thinking) for i in answers]
        full, *prompts = self.model.render_many(wanted)
        if isinstance(full, GraftlmError):
            raise full
        made = self._layout(draft, full.text, options)
        self._refuse_dropped(conversation, made)
        turns: list[Turn] = []
        quiet: list[int] = []
        for k, i in enumerate(answers):
            if self.marks and len(full.generated) == len(answers):
                begin = self._fitting(made, i, full.generated[k][0], turns)
            else:
                begin = self._begin(made, draft, i, options, prompts[k] if prompts else None, turns)
            ended = None if begin is None else self._end(made, draft, i, begin, options)
            trained = messages[i].train is not False
            if begin is not None and ended is not None:
                turns.append(Turn(begin, *ended, trained))
            elif trained and not options.generation_prompt:
                raise DataError(REWRITES if i < len(messages) - 1 else UNCLEAR)
            else:
                quiet.append(i)
        return spans(made, turns, quiet)

    def _asked(
        self, messages: Sequence[dict[str, Any]], conversation: Conversation, prompt: bool, thinking: bool
    ) -> RenderRequest:
        variables = {"add_generation_prompt": prompt, **({"enable_thinking": thinking} if self.thinking else {})}
        return RenderRequest(messages, conversation.tools, variables)

    def _prompt(self, draft: Draft, turn: int, thinking: bool) -> RenderRequest:
        """What a model is asked before a turn."""
        return self._asked(draft.real()[:turn], draft.conversation, True, thinking)

    def _layout(self, draft: Draft, text: str, options: RenderOptions) -> Layout:
        """Where contents stand in the real text; proved by putting the words in and comparing."""
        words = [slot.words for slot in draft.slots]
        others, finds = stand_ins(len(words), [text, *words])
        sketch = self._text(draft, others, options)
        if sketch is not None:
            made = layout(sketch, finds, words, draft.slots, self.tokens)
            if made.text == text:
                return made
            changed = self._changed(draft, others, sketch, options)
            made = layout(sketch, finds, changed, draft.slots, self.tokens)
            if made.text == text:
                return made
        self._refuse_tokens(words)
        units = split(text, self.tokens)
        control = [text[unit.begin : unit.end] for unit in units if unit.kind == "control"]
        own = [match.group() for match in self.tokens.finditer(sketch or "")]
        if sketch is not None and control != own:  # words that only become a token's text on their way
            raise DataError("the model's own chat template makes other control tokens of these words than of others")
        return Layout(text, tuple(units), False)

    def _changed(self, draft: Draft, others: Sequence[str], sketch: str, options: RenderOptions) -> list[str]:
        """What the template makes of each slot's words, seen by putting in one at a time."""
        asked = []
        for k, slot in enumerate(draft.slots):
            filled = draft.filled([*others[:k], slot.words, *others[k + 1 :]])
            asked.append(self._asked(filled, draft.conversation, options.generation_prompt, options.thinking))
        found: list[str] = []
        for slot, other, done in zip(draft.slots, others, self.model.render_many(asked), strict=True):
            before, _, after = sketch.partition(other)
            text = "" if isinstance(done, GraftlmError) else done.text
            fits = text.startswith(before) and text.endswith(after) and len(text) >= len(before) + len(after)
            found.append(text[len(before) : len(text) - len(after)] if fits else slot.words)
        return found

    def _text(self, draft: Draft, words: Sequence[str], options: RenderOptions) -> str | None:
        asked = self._asked(draft.filled(words), draft.conversation, options.generation_prompt, options.thinking)
        return self._sketched(json.dumps([asked.messages, asked.tools, asked.variables]))

    def _begin(
        self, made: Layout, draft: Draft, turn: int, options: RenderOptions, prompt: Any, turns: Sequence[Turn]
    ) -> int | None:
        """Where an answer begins: what the model is asked before it must be what stands before it. A model that can
        think may have been asked to do so or not to, whatever the turns before say of it.
        """
        if prompt is None:
            (prompt,) = self.model.render_many([self._prompt(draft, turn, options.thinking)])
        begin = self._prefix(made, turn, prompt, turns)
        if begin is not None or not self.thinking:
            return begin
        asked = [(False, options.thinking), (False, not options.thinking), (True, not options.thinking)]
        before = draft.real()[:turn]
        done = self.model.render_many([self._asked(before, draft.conversation, *one) for one in asked])
        if any(isinstance(one, GraftlmError) for one in done):
            return None
        here, there, other = (one.text for one in done if isinstance(one, Rendered))
        if not other.startswith(there):
            return None
        return self._prefix(made, turn, Rendered(here + other[len(there) :]), turns)

    def _prefix(self, made: Layout, turn: int, prompt: Rendered | GraftlmError, turns: Sequence[Turn]) -> int | None:
        if isinstance(prompt, GraftlmError) or not made.text.startswith(prompt.text):
            return None
        return self._fitting(made, turn, len(prompt.text), turns)

    def _fitting(self, made: Layout, turn: int, begin: int, turns: Sequence[Turn]) -> int | None:
        """The place, unless words of this or an earlier turn, or a token, say that it is none."""
        if (turns and begin < turns[-1].end) or made.splits_token(begin):
            return None
        wrong = any(
            (unit.turn == turn and unit.begin < begin) or (-1 < unit.turn < turn and unit.end > begin)
            for unit in made.units
        )
        return None if wrong else begin

    def _end(self, made: Layout, draft: Draft, turn: int, begin: int, options: RenderOptions) -> tuple[int, str] | None:
        """Where an answer ends, and the end token to add there; empty where the template has one."""
        messages = draft.conversation.messages
        words_of = [unit.end for unit in made.units if unit.turn == turn]
        after = max([begin, *words_of])
        limit = min([u.begin for u in made.units if u.turn not in (-1, turn) and u.begin >= after] or [len(made.text)])
        open_ended = bool(messages[turn].tool_calls) or not words_of
        for kind, words, end in made.after(after, limit):
            if kind == "control" and words == self.end_token:
                return end, ""
            if words.strip() and not open_ended:
                break
        if open_ended:  # what follows may still be the answer's
            if turn < len(messages) - 1:
                asked = self._asked(draft.real()[: turn + 1], draft.conversation, False, options.thinking)
                (done,) = self.model.render_many([asked])
                if isinstance(done, GraftlmError) or not made.text.startswith(done.text) or len(done.text) < after:
                    return None
                after = len(done.text)
            elif not options.generation_prompt:
                after = len(made.text)
        following = messages[turn + 1].role if turn + 1 < len(messages) else ""
        kind, words, end = next(((k, w, e) for k, w, e in made.after(after, len(made.text)) if w.strip()), ("", "", 0))
        if kind != "control" or words in (THINK, THOUGHT) or words == self.model.bos_token != self.model.eos_token:
            return after, self.end_token
        if following == "assistant" or (options.generation_prompt and not following):
            return after, ""  # the next answer's own beginning
        return end, ""

    def _refuse_tokens(self, words: Any) -> None:
        for text in words:
            found = self.tokens.search(text)
            if found:
                raise DataError(
                    f"{found.group()!r} is a control token of this model, and stands in the data where the model's own "
                    "chat template could not tell it from its own: take it out, or use a named template (--template)"
                )

    def _refuse_dropped(self, conversation: Conversation, made: Layout) -> None:
        """What a template leaves out is said, not lost; only thoughts may go."""
        named = [(call.name, "calls of tools") for message in conversation.messages for call in message.tool_calls]
        named += [(str(tool.get("function", tool).get("name", "")), "tools") for tool in conversation.tools]
        for name, what in named:
            if name not in made.text:
                raise DataError(f"the model's own chat template leaves out {what} ('{name}')")
        for i in sorted(made.left_out):
            message = conversation.messages[i]
            if message.train is not False or message.role != "assistant":
                raise DataError(
                    f"the model's own chat template leaves out what the {message.role} says in turn {i + 1}: use a "
                    "named template (--template)"
                )


def _sketch(model: TemplateModel, key: str) -> str | None:
    """What the model's template makes of messages, tools and variables (JSON); None where it refuses them."""
    (done,) = model.render_many([RenderRequest(*json.loads(key))])
    return done.text if isinstance(done, Rendered) else None
