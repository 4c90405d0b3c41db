"""What is asked of ``acme``: run by ``pytest`` (``tests``) and by ``graftlm plugins check accelerator/acme``."""

from __future__ import annotations

from graftlm.testing import AcceleratorSuite


class AcmeSuite(AcceleratorSuite):
    # Name others too that it must get along with: every combination that a plan allows is judged.
    accelerators = ("acme",)
    # Tiny models on which its gradients are compared with those of plain execution: one of each architecture that it is
    # for, as built-in names or folders.
    models = ("tiny-mistral",)
