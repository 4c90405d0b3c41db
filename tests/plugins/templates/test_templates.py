"""The built-in templates: golden texts, and the suite that third parties run."""

from __future__ import annotations

from pathlib import Path

from small_tokenizers import byte_level, metaspace

import graftlm_registry
from graftlm.api import Message, RenderOptions
from graftlm.testing import TemplateSuite

BUILTIN = Path(graftlm_registry.__file__).parent / "builtin"
S, U1, A1, U2, A2 = (
    Message("system", "S"), Message("user", "U1"), Message("assistant", "A1"),
    Message("user", "U2"), Message("assistant", "A2"),
)  # fmt: skip
T1 = Message("assistant", "<think>\nhm\n</think>\n\nA1")
ASK = RenderOptions(generation_prompt=True)
SAY = RenderOptions()
THINK = RenderOptions(generation_prompt=True, thinking=True)
THOUGHT = RenderOptions(thinking=True)
TEKKEN = ("<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[TOOL_CALLS]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]",
          "[TOOL_RESULTS]", "[/TOOL_RESULTS]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CONTENT]")  # fmt: skip
GLM = ("<|endoftext|>", "[gMASK]", "<sop>", "<|system|>", "<|user|>", "<|assistant|>", "<|observation|>", "<think>",
       "</think>", "/nothink")  # fmt: skip


class TestMistralV1(TemplateSuite):
    template = "mistral-v1"
    tokenizer = metaspace("<s>", "</s>")
    goldens = (
        ((S, U1, A1, U2), ASK, "<s> [INST] S\n\nU1 [/INST] A1</s> [INST] U2 [/INST]"),
        ((U1,), ASK, "<s> [INST] U1 [/INST]"),
        ((S, U1, A1), SAY, "<s> [INST] S\n\nU1 [/INST] A1</s>"),
    )


class TestMistralV3(TemplateSuite):
    template = "mistral-v3"
    tokenizer = BUILTIN / "tiny-mistral"
    goldens = (
        ((S, U1, A1, U2), ASK, "<s>[INST] U1[/INST] A1</s>[INST] S\n\nU2[/INST]"),
        ((U1,), ASK, "<s>[INST] U1[/INST]"),
        ((S, U1, A1), SAY, "<s>[INST] S\n\nU1[/INST] A1</s>"),
    )


class TestMistralV3Tekken(TemplateSuite):
    template = "mistral-v3-tekken"
    tokenizer = byte_level(*TEKKEN)
    goldens = (
        ((S, U1, A1, U2), ASK, "<s>[INST]U1[/INST]A1</s>[INST]S\n\nU2[/INST]"),
        ((U1,), ASK, "<s>[INST]U1[/INST]"),
        ((S, U1, A1), SAY, "<s>[INST]S\n\nU1[/INST]A1</s>"),
    )


class TestMistralV7(TemplateSuite):
    template = "mistral-v7"
    tokenizer = metaspace(*TEKKEN[1:])
    goldens = (
        ((S, U1, A1, U2), ASK, "<s>[SYSTEM_PROMPT] S[/SYSTEM_PROMPT][INST] U1[/INST] A1</s>[INST] U2[/INST]"),
        ((U1,), ASK, "<s>[INST] U1[/INST]"),
        ((S, U1, A1), SAY, "<s>[SYSTEM_PROMPT] S[/SYSTEM_PROMPT][INST] U1[/INST] A1</s>"),
    )


class TestMistralV7Tekken(TemplateSuite):
    template = "mistral-v7-tekken"
    tokenizer = byte_level(*TEKKEN)
    goldens = (
        ((S, U1, A1, U2), ASK, "<s>[SYSTEM_PROMPT]S[/SYSTEM_PROMPT][INST]U1[/INST]A1</s>[INST]U2[/INST]"),
        ((U1,), ASK, "<s>[INST]U1[/INST]"),
        ((S, U1, A1), SAY, "<s>[SYSTEM_PROMPT]S[/SYSTEM_PROMPT][INST]U1[/INST]A1</s>"),
    )


class TestQwen(TemplateSuite):
    template = "qwen"
    tokenizer = BUILTIN / "tiny-qwen"
    goldens = (
        (
            (U1, A1, U2), ASK,
            "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\nU1<|im_end|>\n"
            "<|im_start|>assistant\nA1<|im_end|>\n<|im_start|>user\nU2<|im_end|>\n<|im_start|>assistant\n",
        ),
        ((S, U1), SAY, "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU1<|im_end|>\n"),
    )  # fmt: skip


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
        ((S, U1, A1), SAY, "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU1<|im_end|>\n<|im_start|>assistant\n"
         "A1<|im_end|>\n"),
    )  # fmt: skip


class TestQwen3(TemplateSuite):
    template = "qwen3"
    tokenizer = BUILTIN / "tiny-qwen"
    goldens = (
        ((U1,), THINK, "<|im_start|>user\nU1<|im_end|>\n<|im_start|>assistant\n"),
        ((U1,), ASK, "<|im_start|>user\nU1<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"),
        *(
            (
                (S, U1, A1, U2, A2), options,
                "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU1<|im_end|>\n<|im_start|>assistant\nA1<|im_end|>\n"
                "<|im_start|>user\nU2<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\nA2<|im_end|>\n",
            ) for options in (SAY, THOUGHT)
        ),
        (
            (U1, T1, U2), ASK,
            "<|im_start|>user\nU1<|im_end|>\n<|im_start|>assistant\nA1<|im_end|>\n<|im_start|>user\nU2<|im_end|>\n"
            "<|im_start|>assistant\n<think>\n\n</think>\n\n",
        ),
        (
            (U1, T1), SAY,
            "<|im_start|>user\nU1<|im_end|>\n<|im_start|>assistant\n<think>\nhm\n</think>\n\nA1<|im_end|>\n",
        ),
    )  # fmt: skip

    def test_reasoning_is_trained_where_there_is_some(self) -> None:
        for options in (SAY, THOUGHT):
            assert trained(self.render((U1, T1), options)) == "<think>\nhm\n</think>\n\nA1<|im_end|>"

    def test_an_empty_thought_is_the_answer_s_where_the_model_thinks(self) -> None:
        assert trained(self.render((U1, A1), SAY)) == "A1<|im_end|>"
        assert trained(self.render((U1, A1), THOUGHT)) == "<think>\n\n</think>\n\nA1<|im_end|>"


class TestQwen32507(TemplateSuite):
    template = "qwen3-2507"
    tokenizer = BUILTIN / "tiny-qwen"
    goldens = (
        ((U1,), ASK, "<|im_start|>user\nU1<|im_end|>\n<|im_start|>assistant\n"),
        (
            (S, U1, A1), SAY,
            "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU1<|im_end|>\n<|im_start|>assistant\nA1<|im_end|>\n",
        ),
    )  # fmt: skip


class TestChatGlm3(TemplateSuite):
    """Training adds ``<|user|>`` as the end of the last answer; the model's own text has none there (as below)."""

    template = "chatglm3"
    tokenizer = byte_level("</s>", "[gMASK]", "sop", "<|system|>", "<|user|>", "<|assistant|>", "<|observation|>")
    goldens = (
        ((S, U1, A1, U2), ASK, "[gMASK]sop<|system|>\n S<|user|>\n U1<|assistant|>\n A1<|user|>\n U2<|assistant|>"),
        ((U1, A1), SAY, "[gMASK]sop<|user|>\n U1<|assistant|>\n A1<|user|>"),
    )


class TestGlm4(TemplateSuite):
    template = "glm4"
    tokenizer = BUILTIN / "tiny-glm"
    goldens = (
        ((S, U1, A1, U2), ASK, "[gMASK]<sop><|system|>\nS<|user|>\nU1<|assistant|>\nA1<|user|>\nU2<|assistant|>"),
        ((U1, A1), SAY, "[gMASK]<sop><|user|>\nU1<|assistant|>\nA1<|user|>"),
        ((Message("system", ""), U1), ASK, "[gMASK]<sop><|user|>\nU1<|assistant|>"),
    )

    def test_the_new_line_is_the_answer_s(self) -> None:
        assert trained(self.render((U1, A1))) == "\nA1<|user|>"


class TestGlm4Newline(TemplateSuite):
    template = "glm4-newline"
    tokenizer = BUILTIN / "tiny-glm"
    goldens = (
        ((S, U1, A1, U2), ASK, "[gMASK]<sop><|system|>\nS<|user|>\nU1<|assistant|>\nA1<|user|>\nU2<|assistant|>\n"),
        ((U1, A1), SAY, "[gMASK]<sop><|user|>\nU1<|assistant|>\nA1<|user|>"),
    )

    def test_the_new_line_is_the_prompt_s(self) -> None:
        assert trained(self.render((U1, A1))) == "A1<|user|>"


class TestGlm45(TemplateSuite):
    template = "glm4.5"
    tokenizer = byte_level(*GLM)
    goldens = (
        ((U1,), THINK, "[gMASK]<sop><|user|>\nU1<|assistant|>"),
        ((U1,), ASK, "[gMASK]<sop><|user|>\nU1/nothink<|assistant|>\n<think></think>"),
        (
            (S, U1, A1, U2), ASK,
            "[gMASK]<sop><|system|>\nS<|user|>\nU1/nothink<|assistant|>\n<think></think>\nA1<|user|>\nU2/nothink"
            "<|assistant|>\n<think></think>",
        ),
        ((U1, A1), THOUGHT, "[gMASK]<sop><|user|>\nU1<|assistant|>\n<think></think>\nA1<|user|>"),
        ((U1, T1), THOUGHT, "[gMASK]<sop><|user|>\nU1<|assistant|>\n<think>hm</think>\nA1<|user|>"),
        ((U1, T1, U2), THINK, "[gMASK]<sop><|user|>\nU1<|assistant|>\n<think></think>\nA1<|user|>\nU2<|assistant|>"),
    )  # fmt: skip

    def test_thoughts_are_the_answer_s(self) -> None:
        assert trained(self.render((U1, A1), SAY)) == "\nA1<|user|>"
        assert trained(self.render((U1, A1), THOUGHT)) == "\n<think></think>\nA1<|user|>"
        assert trained(self.render((U1, T1), SAY)) == "\n<think>hm</think>\nA1<|user|>"

    def test_a_thought_that_is_left_out_does_not_teach_to_think_nothing(self) -> None:
        assert trained(self.render((U1, T1, U2, A2), THOUGHT)) == "\nA1<|user|>\n<think></think>\nA2<|user|>"


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


class TestFalcon3(TemplateSuite):
    template = "falcon3"
    tokenizer = BUILTIN / "tiny-falcon"
    goldens = (
        (
            (S, U1, A1, U2), ASK,
            "<|system|>\nS\n<|user|>\nU1\n<|assistant|>\nA1<|endoftext|>\n<|user|>\nU2\n<|assistant|>\n",
        ),
        ((U1, A1), SAY, "<|user|>\nU1\n<|assistant|>\nA1<|endoftext|>"),
    )  # fmt: skip


class TestFalconH1(TemplateSuite):
    template = "falcon-h1"
    tokenizer = byte_level("<|begin_of_text|>", "<|end_of_text|>", "<|im_start|>", "<|im_end|>")
    goldens = (
        ((U1,), ASK, "<|begin_of_text|><|im_start|>user\nU1<|im_end|>\n<|im_start|>assistant\n"),
        (
            (S, U1, A1), SAY,
            "<|begin_of_text|><|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU1<|im_end|>\n"
            "<|im_start|>assistant\nA1<|im_end|>\n",
        ),
    )  # fmt: skip


class TestChatMl(TemplateSuite):
    template = "chatml"
    tokenizer = BUILTIN / "tiny-qwen"
    goldens = (
        ((U1,), ASK, "<|im_start|>user\nU1<|im_end|>\n<|im_start|>assistant\n"),
        (
            (S, U1, A1), SAY,
            "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU1<|im_end|>\n<|im_start|>assistant\nA1<|im_end|>\n",
        ),
    )  # fmt: skip


class TestLlama3(TemplateSuite):
    template = "llama3"
    tokenizer = byte_level(
        "<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"
    )
    goldens = (
        (
            (S, Message("user", " U1\n")), ASK,
            "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|>"
            "<|start_header_id|>user<|end_header_id|>\n\nU1<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
        ),
        (
            (U1, A1), SAY,
            "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nU1<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\nA1<|eot_id|>",
        ),
    )  # fmt: skip


BELOW = "Below is an instruction that describes a task. Write a response that appropriately completes the request."
CHAT = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions."
)


class TestAlpaca(TemplateSuite):
    template = "alpaca"
    tokenizer = metaspace("<s>", "</s>")
    goldens = (
        ((U1,), ASK, f"{BELOW}\n\n### Instruction:\nU1\n\n### Response:\n"),
        ((U1, A1), SAY, f"{BELOW}\n\n### Instruction:\nU1\n\n### Response:\nA1</s>"),
        (
            (S, U1, A1, U2), ASK,
            "S\n\n### Instruction:\nU1\n\n### Response:\nA1</s>\n\n### Instruction:\nU2\n\n### Response:\n",
        ),
    )  # fmt: skip


class TestVicuna(TemplateSuite):
    template = "vicuna"
    tokenizer = metaspace("<s>", "</s>")
    goldens = (
        ((U1, A1, U2), ASK, f"{CHAT} USER: U1 ASSISTANT: A1</s>USER: U2 ASSISTANT:"),
        ((S, U1, A1), SAY, "S USER: U1 ASSISTANT: A1</s>"),
        ((Message("system", ""), Message("user", "</s>")), ASK, "USER: </s> ASSISTANT:"),
    )


def trained(spans) -> str:
    return "".join(span.text for span in spans if span.trained)
