"""Who is compared: each peer is a program that answers requests line by line, in an environment of its own."""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ADAPTERS = HERE / "adapters"
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class PeerError(Exception):
    """A peer ended, or took too long: the words say which."""


@dataclass(frozen=True)
class Peer:
    """``language``: "ours" (this Python), "python" (the environment of the peers) or "R"; ``needs``: what has to be
    installed there; ``script``: a file of adapters/, and its arguments."""

    name: str
    language: str
    needs: str
    script: tuple[str, ...]

    def missing(self) -> str | None:
        """Why this peer cannot run, or None."""
        if self.language == "ours":
            return None
        if self.language == "R":
            if shutil.which("Rscript") is None:
                return "no Rscript"
            return None if installed_in_r(self.needs) else f"no R package {self.needs}"
        if not peers_python().is_file():
            return "no environment of peers (make bench-peers)"
        return None if installed_in_peers(self.needs) else f"no Python package {self.needs}"

    def command(self) -> list[str]:
        """The command line."""
        script, *arguments = self.script
        path = str(ADAPTERS / script)
        if self.language == "R":
            return ["Rscript", path, *arguments]
        python = sys.executable if self.language == "ours" else str(peers_python())
        return [python, path, *arguments]


PEERS = {
    "lmer": (
        Peer("bayesmlm", "ours", "bayesmlm", ("peer_bayesmlm_lmer.py",)),
        Peer("lme4", "R", "lme4", ("peer_lme4.R",)),
        Peer("statsmodels", "python", "statsmodels", ("peer_statsmodels.py",)),
        Peer("interlace", "python", "interlace", ("peer_interlace.py",)),
        Peer("bossanova", "python", "bossanova", ("peer_bossanova.py",)),
    ),
    "glmer": (
        Peer("bayesmlm", "ours", "bayesmlm", ("peer_bayesmlm_glmer.py",)),
        Peer("lme4", "R", "lme4", ("peer_lme4.R",)),
        Peer("glmmTMB", "R", "glmmTMB", ("peer_glmmTMB.R",)),
    ),
    "bayes": (
        Peer("bayesmlm", "ours", "bayesmlm", ("peer_bayesmlm_bayes.py",)),
        Peer("brms", "R", "brms", ("peer_brms.R",)),
        Peer("bambi+nutpie", "python", "nutpie", ("peer_bambi.py", "nutpie")),
        Peer("bambi+pymc", "python", "bambi", ("peer_bambi.py", "pymc")),
        Peer("bambi+numpyro", "python", "bambi", ("peer_bambi.py", "numpyro")),
        Peer("numpyro", "python", "numpyro", ("peer_numpyro.py",)),
    ),
}


def peers_python() -> Path:
    """The interpreter of the peers: in the folder that BAYESMLM_PEERS names, or benchmarks/.peers."""
    folder = Path(os.environ.get("BAYESMLM_PEERS") or HERE / ".peers")
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


@cache
def installed_in_r(package: str) -> bool:
    """Whether R has a package."""
    code = f"quit(status = !all(sapply(c('{package}', 'jsonlite'), requireNamespace, quietly = TRUE)))"
    return subprocess.run(["Rscript", "-e", code], capture_output=True).returncode == 0


@cache
def installed_in_peers(module: str) -> bool:
    """Whether the environment of the peers has a module; it is not imported."""
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec('{module}') is None)"
    return subprocess.run([str(peers_python()), "-c", code], capture_output=True).returncode == 0


class Conversation:
    """A peer at work on one case: a warm process that is asked for fits until it is closed."""

    def __init__(self, peer: Peer, task: dict[str, Any], threads: int, cache_folder: str) -> None:
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the process)
        environment = {**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads))}
        environment["BAYESMLM_CACHE_DIR"] = cache_folder
        self.started = time.perf_counter()
        self._process = subprocess.Popen(
            peer.command(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=environment,
        )
        self._unread = b""
        self._send(task)

    def ask(self, request: dict[str, Any], limit: float) -> dict[str, Any]:
        """The answer to one request; raises `PeerError` after ``limit`` seconds or if the peer ends."""
        self._send(request)
        return self.answer(limit)

    def answer(self, limit: float) -> dict[str, Any]:
        """The next line with RESULT."""
        assert self._process.stdout is not None
        deadline = time.perf_counter() + limit
        while True:
            line, newline, rest = self._unread.partition(b"\n")
            if newline:
                self._unread = rest
                if line.startswith(b"RESULT "):
                    content: dict[str, Any] = json.loads(line.removeprefix(b"RESULT "))
                    return content
                continue
            ready, _, _ = select.select(
                [self._process.stdout], [], [], max(0.0, deadline - time.perf_counter())
            )
            if not ready:
                self.close()
                raise PeerError(f"> {limit:.0f} s")
            read = os.read(self._process.stdout.fileno(), 1 << 16)
            if not read:
                self.close()
                raise PeerError(self._last_words())
            self._unread += read

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def _send(self, content: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(content).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise PeerError(self._last_words()) from None

    def _last_words(self) -> str:
        self._process.wait()
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").strip().splitlines()
        # The error itself, where a library says more after it.
        errors = [line for line in lines if re.match(r"[\w.]*(Error|Exception)\b", line)]
        return f"failed: {(errors or lines)[-1][:200]}" if lines else "failed without a word"
