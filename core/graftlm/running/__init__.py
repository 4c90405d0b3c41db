"""The front's side of a run: it starts a worker, supervises it, and publishes what it proved."""
