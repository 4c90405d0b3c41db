"""What is asked of ``acme``: run by ``pytest`` (``tests``) and by ``graftlm plugins check backend/acme``."""

from __future__ import annotations

from graftlm.testing import BackendSuite


class AcmeSuite(BackendSuite):
    backend = "acme"
    # Built-in models to train: its losses must be those of transformers and PEFT by hand, step for step.
    models = ("tiny-mistral",)
