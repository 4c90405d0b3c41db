"""The built-in templates: golden texts, and the suite that third parties run."""

from __future__ import annotations

from pathlib import Path

import graftlm_registry
from graftlm.api import Message, RenderOptions
from graftlm.testing import TemplateSuite

BUILTIN = Path(graftlm_registry.__file__).parent / "builtin"
S, U1, A1, U2, A2 = (
    Message("system", "S"), Message("user", "U1"), Message("assistant", "A1"),
    Message("user", "U2"), Message("assistant", "A2"),
)  # fmt: skip
ASK = RenderOptions(generation_prompt=True)
SAY = RenderOptions()
THINK = RenderOptions(generation_prompt=True, thinking=True)


class TestMistralV3(TemplateSuite):
    template = "mistral-v3"
    tokenizer = BUILTIN / "tiny-mistral"
    goldens = (
        ((S, U1, A1, U2), ASK, "<s>[INST] U1[/INST] A1</s>[INST] S\n\nU2[/INST]"),
        ((U1,), ASK, "<s>[INST] U1[/INST]"),
        ((S, U1, A1), SAY, "<s>[INST] S\n\nU1[/INST] A1</s>"),
    )


class TestQwen25(TemplateSuite):
    template = "qwen2.5"
    tokenizer = BUILTIN / "tiny-qwen"
    goldens = (
        (
            (S, U1, A1, U2), ASK,
            "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU1<|im_end|>\n<|im_start|>assistant\nA1<|im_end|>\n"
            "<|im_start|>user\nU2<|im_end|>\n<|im_start|>assistant\n",
        ),
        (
            (U1,), ASK,
            "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n"
            "<|im_start|>user\nU1<|im_end|>\n<|im_start|>assistant\n",
        ),
    )  # fmt: skip


class TestQwen3(TemplateSuite):
    template = "qwen3"
    tokenizer = BUILTIN / "tiny-qwen"
    goldens = (
        ((U1,), THINK, "<|im_start|>user\nU1<|im_end|>\n<|im_start|>assistant\n"),
        ((U1,), ASK, "<|im_start|>user\nU1<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"),
        (
            (S, U1, A1, U2, A2), SAY,
            "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU1<|im_end|>\n<|im_start|>assistant\nA1<|im_end|>\n"
            "<|im_start|>user\nU2<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\nA2<|im_end|>\n",
        ),
        (
            (U1, Message("assistant", "<think>\nhm\n</think>\n\nA1"), U2), ASK,
            "<|im_start|>user\nU1<|im_end|>\n<|im_start|>assistant\nA1<|im_end|>\n<|im_start|>user\nU2<|im_end|>\n"
            "<|im_start|>assistant\n<think>\n\n</think>\n\n",
        ),
        (
            (U1, Message("assistant", "<think>\nhm\n</think>\n\nA1")), SAY,
            "<|im_start|>user\nU1<|im_end|>\n<|im_start|>assistant\n<think>\nhm\n</think>\n\nA1<|im_end|>\n",
        ),
    )  # fmt: skip

    def test_reasoning_is_trained_where_there_is_some(self) -> None:
        spans = self.render((U1, Message("assistant", "<think>\nhm\n</think>\n\nA1")))
        assert "".join(s.text for s in spans if s.trained) == "<think>\nhm\n</think>\n\nA1<|im_end|>"


class TestGlm4(TemplateSuite):
    """Training adds ``<|user|>`` as the end of the last answer; the model's own text has none there."""

    template = "glm4"
    tokenizer = BUILTIN / "tiny-glm"
    goldens = (
        (
            (S, U1, A1, U2), ASK,
            "[gMASK]<sop><|system|>\nS<|user|>\nU1<|assistant|>\nA1<|user|>\nU2<|assistant|>\n",
        ),
        ((U1, A1), SAY, "[gMASK]<sop><|user|>\nU1<|assistant|>\nA1<|user|>"),
    )  # fmt: skip


class TestFalconInstruct(TemplateSuite):
    """Training adds and supervises ``<|endoftext|>``; without it the text is the model's own."""

    template = "falcon-instruct"
    tokenizer = BUILTIN / "tiny-falcon"
    goldens = (
        ((S, U1), ASK, "S\n\nUser: U1\n\nAssistant:"),
        ((U1,), ASK, "\n\nUser: U1\n\nAssistant:"),
        ((S, U1, A1, U2), ASK, "S\n\nUser: U1\n\nAssistant: A1<|endoftext|>\n\nUser: U2\n\nAssistant:"),
        ((Message("user", " a\r\n\r\nb "), A1), SAY, "\n\nUser: a\nb\n\nAssistant: A1<|endoftext|>"),
    )
