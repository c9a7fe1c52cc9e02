"""Where compiled programs are kept on this machine, and which machine it is."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import sys
from functools import cache
from pathlib import Path

__all__ = ["cache_root", "machine_label"]


def cache_root() -> Path:
    """``BAYESMLM_CACHE_DIR`` if set, otherwise ``bayesmlm`` in the platform's folder for caches."""
    chosen = os.environ.get("BAYESMLM_CACHE_DIR")
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "bayesmlm"


@cache
def machine_label() -> str:
    """The processor's model in letters, and a digest of the model and the instructions it offers.

    Machine code made for one processor may crash on another of the same family, hence the instructions.
    """
    model, instructions = platform.processor() or platform.machine(), ""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            field, _, value = line.partition(":")
            if field.strip() == "model name":
                model = value.strip()
            elif field.strip() in ("flags", "Features"):
                instructions = value.strip()
                break
    except OSError:
        pass  # not a Linux machine: the model has to do
    digest = hashlib.sha256(f"{platform.machine()}|{model}|{instructions}".encode()).hexdigest()[:8]
    letters = re.sub(r"[^A-Za-z0-9]+", "-", model).strip("-") or "processor"
    return f"{letters[:40]}-{digest}"
