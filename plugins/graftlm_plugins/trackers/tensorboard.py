"""``tensorboard``: event files, written by the ``tensorboard`` package itself, without torch and TensorFlow."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from graftlm.api import Option, Requirement, Tracker, hookimpl

if TYPE_CHECKING:
    from graftlm.api import TrackedRun


class TensorBoardTracking:
    """One folder of event files a run; each process adds a file. A step is in the file when ``step`` returns."""

    def __init__(self, run: TrackedRun) -> None:
        _without_tensorflow()
        from tensorboard.plugins.hparams import summary_v2
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        elsewhere = run.options["folder"]
        folder = Path(elsewhere) / run.name if elsewhere else run.folder
        last = _last_step(folder)
        self.held = self._step = min(last, run.resumed_after)
        self._files = EventFileWriter(str(folder))
        if last > self.held:
            self._purge(self.held + 1)
        if not last:
            self._write(0, summary_v2.hparams_pb(dict(run.settings), trial_id=run.name).value)
        self._files.flush()

    def step(self, step: int, values: Mapping[str, float]) -> None:
        self._step = step
        self._write(step, _scalars(values))
        self._files.flush()

    def finish(
        self, state: Literal["done", "stopped", "failed"], results: Mapping[str, float], files: Sequence[Path]
    ) -> None:
        pictures = [_picture(path) for path in files if path.suffix == ".png"]
        ended = [_session_end()] if state == "done" else []
        of_run = _scalars({f"results/{name}": value for name, value in results.items()})
        self._write(self._step, [_text("state", state), *of_run, *pictures, *ended])
        self._files.close()

    def _write(self, step: int, values: Sequence[Any]) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        self._files.add_event(Event(wall_time=time.time(), step=step, summary=Summary(value=values)))

    def _purge(self, step: int) -> None:
        """Readers drop what earlier files say of this step and later ones."""
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog

        begun = SessionLog(status=SessionLog.START)
        self._files.add_event(Event(wall_time=time.time(), step=step, session_log=begun))


def _without_tensorflow() -> None:
    """Where TensorFlow is installed, tensorboard would import it to make a folder: a module of this name says not to
    (see ``tensorboard.compat``).
    """
    if "tensorflow" not in sys.modules:
        sys.modules.setdefault("tensorboard.compat.notf", ModuleType("tensorboard.compat.notf"))


def _last_step(folder: Path) -> int:
    """Of the event files in a folder, as their readers see it."""
    from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader
    from tensorboard.compat.proto.event_pb2 import SessionLog

    last = 0
    for path in sorted(folder.glob("events.out.tfevents.*")):
        for event in LegacyEventFileLoader(str(path)).Load():
            if event.HasField("session_log") and event.session_log.status == SessionLog.START:
                last = min(last, event.step - 1)
            elif event.HasField("summary") and any(value.tag == "loss" for value in event.summary.value):
                last = max(last, event.step)
    return last


def _scalars(values: Mapping[str, float]) -> list[Any]:
    from tensorboard.compat.proto.summary_pb2 import Summary

    return [Summary.Value(tag=name, simple_value=value) for name, value in values.items()]


def _text(tag: str, text: str) -> Any:
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.compat.proto.types_pb2 import DT_STRING
    from tensorboard.plugins.text.metadata import create_summary_metadata

    tensor = TensorProto(dtype=DT_STRING, string_val=[text.encode()])
    return Summary.Value(tag=tag, metadata=create_summary_metadata(tag, ""), tensor=tensor)


def _picture(path: Path) -> Any:
    from tensorboard.compat.proto.summary_pb2 import Summary

    return Summary.Value(tag=f"results/{path.stem}", image=Summary.Image(encoded_image_string=path.read_bytes()))


def _session_end() -> Any:
    """What the table of hyperparameters knows a finished run by."""
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2

    ended = plugin_data_pb2.SessionEndInfo(status=api_pb2.Status.Value("STATUS_SUCCESS"), end_time_secs=time.time())
    said = metadata.create_summary_metadata(plugin_data_pb2.HParamsPluginData(session_end_info=ended))
    return Summary.Value(tag=metadata.SESSION_END_INFO_TAG, metadata=said, tensor=metadata.NULL_TENSOR)


@hookimpl
def graftlm_trackers() -> Iterable[Tracker]:
    yield Tracker(
        name="tensorboard",
        summary="event files for TensorBoard",
        target="graftlm_plugins.trackers.tensorboard:TensorBoardTracking",
        requires=(Requirement(distribution="tensorboard", minimum="2.20", below="3", extra="trackers"),),
        options=(
            Option(
                name="folder",
                type="path",
                default="",
                help="where runs are compared: each gets a folder of its own name in it (else in the run's folder)",
            ),
        ),
    )
