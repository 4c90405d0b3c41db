"""The environment that LLaMA-Factory 0.9.5 needs: older PEFT, trl, accelerate and datasets than the base's."""

from __future__ import annotations

from graftlm.api import Environment

MEDIA = ("av", "torchaudio", "torchvision")
"""For images, films and sound; the last two are built for one release of torch each, and would bring another."""
SERVICES = ("fastapi", "gradio", "hf-transfer", "modelscope", "sse-starlette", "tyro", "uvicorn")
"""Of its web interface, its server and other hubs, which its training never imports."""

ENVIRONMENT = Environment(
    name="llamafactory",
    requirements=("llamafactory==0.9.5", "bitsandbytes>=0.50,<0.51"),
    overrides=tuple(f'{name}; python_version < "0"' for name in (*MEDIA, *SERVICES)),
    python=">=3.11,<3.14",
    variables={
        "ALLOW_EXTRA_ARGS": "0",  # what the file says and nothing knows is an error
        "HF_HUB_OFFLINE": "1",  # everything is in the run's folders
        "LLAMABOARD_ENABLED": "0",
        "LLAMAFACTORY_VERBOSITY": "WARN",
        "RECORD_VRAM": "0",
        "USE_KT": "0",
        "USE_MCA": "0",
        "USE_RAY": "0",
    },
    download_mb=230,
    imports=("graftlm_llamafactory.entry",),
)
