"""Every decoder layer through ``torch.compile``.

``--accelerator auto`` never chooses it: compiling takes from half a minute to some minutes at the start of every run
(on a CPU 65 seconds for eight layers, which then were 6% faster), and how long a run must be to win that back depends
on the device and the model. Name it, with what else you want: ``--accelerator varlen+supervised-logits+compile``.

It claims what is in a layer. What ``fused-lora`` puts there has a state of its own, which no compiler can look through:
each layer would be compiled by itself, in pieces; and norms, products and rotations are what it writes kernels of
itself. ``varlen``'s attention goes on between what is compiled before and after it.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from graftlm.api import Accelerator, Option, hookimpl

if TYPE_CHECKING:
    from graftlm.api import Situation


def supports(situation: Situation) -> Sequence[str]:
    found = _of_compilers(situation)
    if situation.facts.remote_code:
        found.append(
            "the code of this architecture comes with the checkpoint, and nobody knows its layers: leave it out"
        )
    if situation.quantization_bits:
        found.append(f"compiles plain weights, and {situation.quantization} packs them: leave it out")
    return found


def _of_compilers(situation: Situation) -> list[str]:
    """On a CPU torch writes C++; on CUDA Triton writes kernels, and C to start them with."""
    cpp = os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")
    headers = Path(sysconfig.get_path("include")) / "Python.h"
    if situation.device == "cuda":
        names = [os.environ["CC"]] if os.environ.get("CC") else ["clang", "gcc"]
        found = (
            [] if "triton" in situation.probe.versions else ["needs triton, which is not installed: pip install triton"]
        )
        what = "C"
    else:
        names, found, what = [cpp], [], "C++"
    if not any(shutil.which(name.split()[0]) for name in names):
        found.append(
            f"needs a {what} compiler, and there is no {' or '.join(names)} here: install one, or leave it out"
        )
    elif not headers.is_file():
        found.append(f"needs Python's headers, and there is no {headers}: install them (python3-dev), or leave it out")
    return found


@hookimpl
def graftlm_accelerators() -> Iterable[Accelerator]:
    yield Accelerator(
        name="compile",
        summary="every decoder layer through torch.compile",
        claims=("linear", "norm", "mlp", "rotary"),
        patches={"adapter": "graftlm_plugins.accelerators.worker.compiled_layers:CompiledLayers"},
        options=(
            Option(
                name="compiler",
                type="str",
                default="inductor",
                choices=("inductor", "aot_eager"),
                help="What torch.compile compiles with; aot_eager makes no code and shows what could be compiled.",
            ),
        ),
        supports=supports,
        gain="fewer kernels",
    )
