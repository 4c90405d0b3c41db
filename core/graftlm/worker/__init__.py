"""What runs in the worker process: the only part of the core that imports torch."""
