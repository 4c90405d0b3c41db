"""What making the environments of this home took, as their manifests have it: seconds, bytes, packages."""

from __future__ import annotations

from results import keep

from graftlm.environments.declared import declared
from graftlm.environments.manifest import read_manifest
from graftlm_registry.plugins import registry


def main() -> None:
    found = {}
    for name, one in declared(registry()).items():
        made = read_manifest(name)
        if made is None:
            print(f"{name}: not made in this home")
            continue
        found[name] = {
            "installer": made.installer,
            "torch": made.torch,
            "seconds": made.seconds,
            "bytes": made.bytes,
            "declared_download_mb": one.environment.download_mb,
            "packages": dict(made.packages),
        }
        print(f"{name}: {len(made.packages)} packages, {made.bytes / 2**20:,.0f} MiB, {made.seconds:.0f} s")
    keep("environments", {"environments": found}, "cpu")


if __name__ == "__main__":
    main()
