"""What is asked of ``acme``: run by ``pytest`` (``tests``) and by ``graftlm plugins check template/acme``."""

from __future__ import annotations

from graftlm.api import Message, RenderOptions
from graftlm.testing import TemplateSuite, tokenizer_of

RULES, FIRST, SECOND = Message("system", "Be brief."), Message("user", "Hello?"), Message("user", "Still there?")
TRAINED, ASKED = RenderOptions(), RenderOptions(generation_prompt=True)


class AcmeSuite(TemplateSuite):
    template = "acme"
    # The folder with the tokenizer.json of a model that this template is for; here, that of a built-in one.
    tokenizer = tokenizer_of("tiny-mistral")
    # Messages, options and the text, to the letter, best taken from what the model's owners publish.
    goldens = (
        ((FIRST,), ASKED, "<s>## Question\nHello?\n## Answer\n"),
        ((FIRST, Message("assistant", "Yes.")), TRAINED, "<s>## Question\nHello?\n## Answer\nYes.</s>"),
        (
            (RULES, FIRST, Message("assistant", "Yes."), SECOND),
            ASKED,
            "<s>## Rules\nBe brief.\n## Question\nHello?\n## Answer\nYes.</s>## Question\nStill there?\n## Answer\n",
        ),
    )
