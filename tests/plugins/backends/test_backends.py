"""The built-in backends, judged by the suite that third parties run."""

from graftlm.testing import BackendSuite


class TestPeft(BackendSuite):
    backend = "peft"
    models = ("tiny-mistral", "tiny-falcon")


class TestTrainer(BackendSuite):
    backend = "trainer"
    models = ("tiny-mistral", "tiny-falcon")
