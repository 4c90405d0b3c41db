"""What this machine is, as torch sees it."""

from __future__ import annotations

import os
import sys

import psutil
import torch

from graftlm.contracts.serial import to_json
from graftlm.contracts.situation import Device, Probe
from graftlm.contracts.versions import versions
from graftlm.source import code_digest


def devices() -> tuple[Device, ...]:
    """CUDA devices first, then MPS, then the CPU; memory in bytes."""
    found = []
    for i in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        facts = torch.cuda.get_device_properties(i)
        found.append(
            Device(
                type="cuda", name=facts.name, memory=facts.total_memory, compute_capability=(facts.major, facts.minor)
            )
        )
    memory = psutil.virtual_memory().total
    if torch.backends.mps.is_available():
        found.append(Device(type="mps", name="Apple GPU", memory=memory))
    return (*found, Device(type="cpu", name=f"{os.cpu_count()} cores", memory=memory))


def print_probe() -> int:
    bf16 = not torch.cuda.is_available() or torch.cuda.is_bf16_supported(including_emulation=False)
    dtypes = ("fp32", "fp16", "bf16") if bf16 else ("fp32", "fp16")
    found = Probe(
        python=sys.version.split()[0], versions=versions(), devices=devices(), dtypes=dtypes, code=code_digest()
    )
    print(to_json(found).decode())
    return 0
