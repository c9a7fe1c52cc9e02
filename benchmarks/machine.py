"""What the numbers were measured on."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from .run import Record


def describe(records: list[Record], threads: int) -> list[str]:
    """Lines for the report: machine, threads, BLAS and versions of everyone who took part."""
    blas: dict[str, set[str]] = {}
    versions: dict[str, str] = {}
    for record in records:
        if record.blas:
            blas.setdefault(record.blas, set()).add(record.peer)
        versions |= record.versions
    libraries = "; ".join(f"{name} ({', '.join(sorted(peers))})" for name, peers in sorted(blas.items()))
    return [
        f"{processor()}, {cores()} cores; {platform.system()} {platform.machine()}; "
        f"Python {platform.python_version()}.",
        f"BLAS on {threads} thread{'s' if threads > 1 else ''}: {libraries}.",
        "Versions: " + ", ".join(f"{name} {version}" for name, version in sorted(versions.items())) + ".",
    ]


def cores() -> int:
    """Those this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor() -> str:
    """Its name, where the system tells."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
