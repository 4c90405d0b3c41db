"""What is wrong with a prompt template is found by its suite, and said."""

from __future__ import annotations

import pytest
from broken import Fault, is_caught
from common_faults import common_faults

GOLDEN, FORMED, TRAINED = (
    "test_golden_texts",
    "test_spans_are_well_formed",
    "test_trained_text_is_the_answers_and_their_ends",
)
CONTINUES, OPEN, TYPED = (
    "test_an_answer_continues_its_generation_prompt",
    "test_a_generation_prompt_holds_no_open_answer",
    "test_content_never_becomes_a_control_token",
)
WORDS, ANSWER, PROMPT = "[content(message.content), ", "answer(message, end=END)", 'text(HEADINGS["assistant"])'
IMPORTED, MESSAGE = "    DataError,\n", "    DataError,\n    Message,\n"
FAULTS = (
    *common_faults("template", "chatml"),
    Fault("a word of it is wrong", {'"## Question\\n"': '"## Question:\\n"'}, GOLDEN, ("it must say", "and says")),
    Fault("what is asked is lost", {WORDS: "["}, GOLDEN, ("it must say", "Hello?")),
    Fault(
        "the question is trained",
        {WORDS: '[Span(message.content, "content", True, True), '},
        TRAINED,
        ("'U1' is trained", "it is no answer"),
    ),
    Fault(
        "the question is trained, and no answer",
        {WORDS: '[Span(message.content, "content", False, True), '},
        FORMED,
        ("is trained, and is no part of an answer",),
    ),
    Fault("an answer has no end", {ANSWER: "answer(message)"}, TRAINED, ("is trained, and no end token after it",)),
    Fault(
        "the end is not trained",
        {ANSWER: "[*answer(message), control(END)]"},
        TRAINED,
        ("is trained, and no end token after it",),
    ),
    Fault(
        "train: false is not heard",
        {ANSWER: '[Span(message.content, "content", True, True), Span(END, "control", True, True)]'},
        TRAINED,
        ("answers are to be trained",),
    ),
    Fault(
        "the answer is changed",
        {ANSWER: "answer(Message('assistant', message.content.upper(), message.train), end=END)", IMPORTED: MESSAGE},
        TRAINED,
        ("is trained as",),
    ),
    Fault(
        "a control token is not declared",
        {"control_tokens=(START, END),": "control_tokens=(END,),"},
        FORMED,
        ("'<s>' is not among its control_tokens",),
    ),
    Fault(
        "what is typed becomes a control token",
        {WORDS: "[control(message.content) if message.content in (START, END) else content(message.content), "},
        TYPED,
        ("control tokens of",),
    ),
    Fault(
        "the prompt is not what training has",
        {PROMPT: 'text(HEADINGS["assistant"] + " ")'},
        CONTINUES,
        ("training puts", "and inference"),
    ),
    Fault(
        "the prompt holds a part of the answer",
        {PROMPT: 'Span(HEADINGS["assistant"], "text", True)'},
        OPEN,
        ("a part of an answer",),
    ),
    Fault(
        "generation does not stop",
        {"stop_tokens=(END,),": "stop_tokens=(),"},
        "test_stop_tokens_hold_the_end_token",
        ("'</s>'", "generation stops at"),
    ),
    Fault(
        "the tokenizer has no such token",
        {'START, END = "<s>", "</s>"': 'START, END = "<s>", "<|done|>"'},
        "test_the_tokenizer_has_the_tokens",
        ("the tokenizer has no token <|done|>",),
    ),
    Fault(
        "it renders otherwise each time",
        {
            "    spans = [control(START)]\n": "    SEEN.append(START)\n    spans = [control(s) for s in SEEN]\n",
            '"""Control tokens:': 'SEEN: list[str] = []\n"""Control tokens:',
        },
        "test_rendering_changes_nothing",
        ("rendered twice, it gives",),
    ),
    Fault("no golden text", {"    goldens = (\n": "    goldens = () and (\n"}, GOLDEN, ("give one at least",)),
)


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_fault_of_a_template_is_caught(fault: Fault) -> None:
    is_caught("template", fault)
