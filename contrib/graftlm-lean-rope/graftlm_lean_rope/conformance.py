"""What is asked of ``lean-rope``: run by ``pytest`` and by ``graftlm plugins check accelerator/lean-rope``."""

from __future__ import annotations

from graftlm.testing import AcceleratorSuite


class LeanRopeSuite(AcceleratorSuite):
    accelerators = ("lean-rope",)
    models = ("tiny-mistral",)
