"""What graftlm asks of Acme's optimizer: ``graftlm plugins check optimizer/acme`` runs it, and so does pytest."""

from __future__ import annotations

from graftlm.testing import OptimizerSuite


class AcmeSuite(OptimizerSuite):
    optimizer = "acme"
    learning_rate = 3e-3  # one that suits it: small models must learn with it in a moment
