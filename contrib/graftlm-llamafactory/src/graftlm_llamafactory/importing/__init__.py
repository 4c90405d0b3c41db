"""LLaMA-Factory's run files, read as graftlm's. Nothing here imports torch."""
