"""The plugin, judged by graftlm's own suite."""

from graftlm_acme import conformance


class TestAcme(conformance.AcmeSuite):
    """Tests of your own go here too, as methods or beside it."""
