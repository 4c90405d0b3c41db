"""The ``tensorboard`` tracker: read back by TensorBoard's own accumulator."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from graftlm.running.tracking import End
from graftlm.testing import Told, TrackerSuite
from graftlm_registry.runs import Run

pytest.importorskip("tensorboard")


class TestTensorBoard(TrackerSuite):
    tracker = "tensorboard"

    def place(self, run: Run) -> Path:
        return run.folder / "trackers" / "tensorboard"

    def read(self, run: Run) -> Told:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        found = EventAccumulator(str(self.place(run)), size_guidance={"scalars": 0, "tensors": 0})
        found.Reload()
        scalars = {tag: found.Scalars(tag) for tag in found.Tags()["scalars"]}
        figures = [(e.step, tag, e.value) for tag, es in scalars.items() if not tag.startswith("results/") for e in es]
        results = {
            tag.removeprefix("results/"): es[-1].value for tag, es in scalars.items() if tag.startswith("results/")
        }
        states = [e.tensor_proto.string_val[0].decode() for e in found.Tensors("state")]
        return Told(figures, states[-1], results)

    def test_settings_and_the_picture_are_there(self) -> None:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
        from tensorboard.plugins.hparams import metadata

        run = self.run()
        picture = run.folder / "loss.png"
        picture.write_bytes(PNG)
        (follower,) = self.trackers(run)._followers
        follower.tell(End("done", {"a/b/after": 1.0}, [picture]))
        follower.join(30)
        found = EventAccumulator(str(self.place(run)))
        found.Reload()
        assert found.Images("results/loss")[0].encoded_image_string == PNG
        kept = found.SummaryMetadata(metadata.SESSION_START_INFO_TAG).plugin_data.content
        start = metadata.parse_session_start_info_plugin_data(kept)
        assert start.hparams["learning_rate"].number_value == pytest.approx(run.plan().training.learning_rate)
        assert start.hparams["model"].string_value == "tiny-mistral"


class TestElsewhere(TestTensorBoard):
    """In a folder that several runs share."""

    def options(self) -> dict[str, str]:
        return {"folder": str(self.folder / "board")}

    def place(self, run: Run) -> Path:
        return self.folder / "board" / run.name


def test_it_needs_neither_torch_nor_tensorflow(tmp_path: Path) -> None:
    (tmp_path / "tensorflow.py").write_text("raise AssertionError('imported')", encoding="utf-8")
    source = """
import sys
from pathlib import Path
from graftlm.contracts.tracking import TrackedRun
from graftlm_plugins.trackers.tensorboard import TensorBoardTracking
sys.path.insert(0, sys.argv[1])
tracked = TrackedRun(
    name="a", adapter="a", folder=Path(sys.argv[1]) / "out", settings={}, resumed_after=0, options={"folder": ""}
)
tracking = TensorBoardTracking(tracked)
tracking.step(1, {"loss": 1.0})
tracking.finish("done", {}, [])
print(*sorted({"torch", "tensorflow"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", source, str(tmp_path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360606060000000050001"
    "a5f645400000000049454e44ae426082"
)
