"""What graftlm asks of Acme's tuning method: ``graftlm plugins check method/acme`` runs it, and so does pytest."""

from __future__ import annotations

from graftlm.testing import MethodSuite


class AcmeSuite(MethodSuite):
    method = "acme"
    learning_rate = 5e-3  # one that suits it: tiny models must learn with it in a moment
