"""What is known of an environment that was made: written last, so that a half-made one has none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from graftlm.contracts.errors import GraftlmError
from graftlm.contracts.serial import digest, from_json, to_json
from graftlm_registry.home import keep

from .overriding import canonical
from .places import manifest_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """``declaration`` is the digest of what was declared, ``sources`` those of graftlm and the plugins' distributions
    by name. ``packages`` are all that is installed, by name, with their versions; ``torch`` says whether it was linked
    from the base environment. ``seconds`` and ``bytes`` are what making it took, shared files left out.
    """

    name: str
    python: str
    declaration: str
    sources: Mapping[str, str]
    packages: Mapping[str, str]
    torch: Literal["shared", "installed"]
    installer: str
    created: str
    seconds: float
    bytes: int
    asked: tuple[str, ...] = ()
    """Requirements that the user added."""

    @property
    def lock(self) -> str:
        return digest(self.packages)[:16]

    def version(self, name: str) -> str:
        """Of an installed distribution, or the empty string."""
        return self.packages.get(canonical(name), "")


def read_manifest(name: str) -> Manifest | None:
    """None where there is none, or one of an older form."""
    path = manifest_of(name)
    try:
        return from_json(path.read_bytes(), Manifest, str(path))
    except (OSError, GraftlmError):
        return None


def keep_manifest(manifest: Manifest) -> None:
    """Raises ``OSError`` where it cannot be written."""
    path = manifest_of(manifest.name)
    keep(path, to_json(manifest))
    if not path.is_file():
        raise OSError(f"{path} cannot be written")


def forget(name: str) -> None:
    """What is left of the environment is half made."""
    manifest_of(name).unlink(missing_ok=True)
