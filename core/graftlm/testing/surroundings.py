"""What a check changes of its process, for a while."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def variable(name: str, value: str) -> Iterator[None]:
    """An environment variable, for a while."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = before


@contextmanager
def without_network(who: str) -> Iterator[None]:
    """There is none, and ``who`` fails where it reaches for it, whatever it makes of the error."""
    import socket

    reached: list[str] = []

    def unreachable(*place: object, **_: object) -> None:
        reached.append(", ".join(str(each) for each in place if isinstance(each, str | int | tuple)))
        raise OSError("there is no network here")

    names = {socket.socket: ("connect", "connect_ex"), socket: ("create_connection", "getaddrinfo", "gethostbyname")}
    kept = [(where, name, vars(where).get(name)) for where, each in names.items() for name in each]
    for where, name, _ in kept:
        setattr(where, name, unreachable)
    try:
        yield
    finally:
        for where, name, was in kept:
            if was is None:  # it is a base class's
                delattr(where, name)
            else:
                setattr(where, name, was)
        assert not reached, f"{who} reaches for the network ({reached[0] or 'somewhere'})"
