"""The harness's side of ``lm-eval``: its tasks, and a model as it asks one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graftlm.api import DataError, GraftlmError, Message, RunError, UsageError

if TYPE_CHECKING:
    from graftlm.api import HarnessContext

SEED = 1234
"""The harness's own, of the examples that it draws."""


class Harness:
    """The tasks that a context asks for, and its model. ``tasks`` are the harness's objects, by name."""

    def __init__(self, context: HarnessContext) -> None:
        self._context = context
        _keep_caches(context.scratch)
        self._folder = context.tasks
        if self._folder is not None:
            os.chdir(self._folder)  # paths in a task's file are relative to it
        self.tasks: dict[str, Any] = {}
        for name in self._asked():
            if name not in self.tasks:  # a group has brought it
                self.tasks |= self._loaded(name)

    def samples(self, name: str) -> Sequence[Mapping[str, Any]]:
        """What the harness logs of every question of a task."""
        import lm_eval

        options = self._context.options
        self._model.begin(name)
        try:
            found = lm_eval.simple_evaluate(
                model=self._model,
                tasks=[self.tasks[name]],
                num_fewshot=options["shots"],
                batch_size=options["batch_size"],
                task_manager=self._manager,
                bootstrap_iters=0,  # intervals are made of the samples
                log_samples=True,
                apply_chat_template=self._chats,
                random_seed=SEED,
                numpy_random_seed=SEED,
                torch_random_seed=SEED,
                fewshot_random_seed=SEED,
            )
        except GraftlmError:
            raise
        except Exception as error:
            raise RunError(f"task '{name}' failed: {_said(error)}") from error
        logged: Sequence[Mapping[str, Any]] = found["samples"][name]
        return logged

    @property
    def _chats(self) -> bool:
        chat = self._context.options["chat"]
        return self._context.own_template if chat == "auto" else bool(chat == "on")

    @cached_property
    def _model(self) -> Any:
        return _model(self._context)

    @cached_property
    def _manager(self) -> Any:
        from lm_eval.tasks import TaskManager

        wanted = self._context.options["tasks"]
        if self._folder is None:
            return TaskManager()
        own = TaskManager(include_path=self._folder, include_defaults=False)
        return own if set(wanted) <= set(own.all_tasks) else TaskManager(include_path=self._folder)

    def _asked(self) -> Sequence[str]:
        if self._folder is not None:
            _check_files(self._folder)
        known = self._manager.all_tasks
        names: Sequence[str] = self._context.options["tasks"]
        for name in names:
            if name not in known:
                near = get_close_matches(name, known, 5)
                raise UsageError(
                    f"unknown task '{name}'. " + (f"Near it: {', '.join(near)}" if near else "None is like it")
                )
        if names:
            return names
        found = [*self._manager.all_groups, *self._manager.all_subtasks]
        if not found:
            raise DataError(f"{self._folder} holds no task: a YAML file there needs 'task: NAME'")
        return found

    def _loaded(self, name: str) -> dict[str, Any]:
        """A task with its data, or those of a group."""
        self._context.checkpoint()
        try:
            found: dict[str, Any] = self._manager.load([name])["tasks"]
        except GraftlmError:
            raise
        except Exception as error:
            where = "" if self._folder else " (its data comes from a hub)"
            raise DataError(f"task '{name}' cannot be loaded{where}: {_said(error)}") from error
        for task in found.values():
            if self._folder is not None:
                _check_inside(task, self._folder)
        return found


def _model(context: HarnessContext) -> Any:
    from lm_eval.models.huggingface import HFLM

    stops = context.stops

    class Model(HFLM):  # type: ignore[misc]
        """The harness's own, with the template that the model is trained in, stopped and watched between batches."""

        def begin(self, task: str) -> None:
            self._task, self._done, self._total = task, 0, 0
            self._open: set[str] = set()
            """Rendered prompts, whose answers are still to begin."""

        def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
            messages = [Message(turn["role"], turn["content"]) for turn in chat_history]  # type: ignore[arg-type]
            rendered = context.render(messages, not add_generation_prompt)
            if add_generation_prompt:
                self._open.add(rendered)
            return rendered

        def loglikelihood(self, requests: list[Any], disable_tqdm: bool = False) -> Any:
            self._total += len(requests)
            for request in {id(each): each for each in requests}.values():
                asked, answer = request.args
                if asked in self._open:  # the harness puts an answer right behind the prompt
                    request.arguments = (asked, context.lead + answer)
            return super().loglikelihood(requests, disable_tqdm=disable_tqdm)

        def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> Any:
            self._total += len(requests)
            return super().generate_until(requests, disable_tqdm=disable_tqdm)

        def _model_call(self, inps: Any, *given: Any, **named: Any) -> Any:
            self._batch(len(inps))
            return super()._model_call(inps, *given, **named)

        def _model_generate(self, context: Any, *given: Any, **named: Any) -> Any:
            self._batch(len(context))
            ends = {"eos_token_id": list(stops)} if stops and self._open else {}
            return super()._model_generate(context, *given, **{**ends, **named})

        def _batch(self, count: int) -> None:
            context.checkpoint()
            self._done += count
            context.progress(f"answer {self._task}", self._done, max(self._done, self._total))

    return Model(
        pretrained=context.model, backend="causal", tokenizer=str(context.folder),
        batch_size=context.options["batch_size"],
    )  # fmt: skip


def _keep_caches(scratch: Path) -> None:
    """Prepared data goes away with the job; what comes from a hub stays where all of a user's downloads are. Read when
    the libraries are imported.
    """
    for name in ("HF_DATASETS_CACHE", "HF_MODULES_CACHE", "HF_EVALUATE_CACHE", "HF_METRICS_CACHE"):
        os.environ[name] = str(scratch / name.lower())
    os.environ["HF_HUB_DISABLE_TELEMETRY"], os.environ["HF_UPDATE_DOWNLOAD_COUNTS"] = "1", "0"


def _check_files(folder: Path) -> None:
    """The harness passes over a file that it cannot read, and over the second task of a name."""
    from lm_eval.tasks._yaml_loader import load_yaml

    named: dict[str, Path] = {}
    for path in sorted(folder.rglob("*.yaml")):
        try:
            config = load_yaml(path, resolve_func=False, recursive=True)
        except Exception as error:
            raise DataError(f"{path} is no task: {_said(error)}") from error
        name = config.get("task") or config.get("group")
        if isinstance(name, str) and (other := named.setdefault(name, path)) != path:
            raise DataError(f"{path} and {other} both define '{name}'")


def _check_inside(task: Any, folder: Path) -> None:
    """Scores are found again as long as the folder is the same: what is read must lie there."""
    arguments = task.config.dataset_kwargs or {}
    for name in _texts([arguments.get("data_files"), arguments.get("data_dir")]):
        if "://" not in name and not Path(name).resolve().is_relative_to(folder):
            raise DataError(f"task '{task.config.task}' reads {name}, which lies outside of {folder}: put it there")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _texts(list(value.values()))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)


def _said(error: Exception) -> str:
    """The first line of its words."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
