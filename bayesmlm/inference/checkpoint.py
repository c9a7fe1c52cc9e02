"""Checkpoints: a folder from which a killed or interrupted run goes on, bit for bit.

Folder::

    manifest.json               what the run is: versions, program, data, settings
    lane-000.npz                the sampler's state of one lane of chains, and how many draws are on disk
    lane-000-draws-000000.npz   its draws, in segments that are only ever added

Every file is written beside its place, flushed to the disk and renamed, and the folder is flushed after it. A
segment goes before the state that counts it, so that a kill at any moment leaves the last complete
checkpoint: a segment that no state counts is ignored and written again. No pickle: arrays in `.npz` and JSON,
read without executing anything.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..errors import SamplingError
from .protocol import FlatProgram, SamplerSettings

__all__ = ["Checkpoint", "Saved", "fingerprint"]

MANIFEST = "manifest.json"
TEMPORARY = ".unfinished-"
FORMAT = 1

crash_hook: Callable[[str], None] = lambda moment: None  # noqa: E731
"""Called at each step of writing a file, as "<kind>: <step>"; tests replace it to stop the process there."""


@dataclass(frozen=True)
class Saved:
    """One lane as it was saved: iterations done, leaves of the sampler's state, draws (chain, draw, ...) by
    name."""

    iteration: int
    leaves: list[NDArray]
    draws: dict[str, NDArray]
    count: int


class Checkpoint:
    """A folder that holds one run; open it with `open`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._segments: dict[int, int] = {}
        self._counts: dict[int, int] = {}

    @classmethod
    def open(cls, path: str | os.PathLike[str], run: Mapping[str, Any], resume: bool) -> Checkpoint:
        """The checkpoint in folder ``path`` of the run with fingerprint ``run``, made if there is none.

        Raises `SamplingError` if the folder holds a run and ``resume`` is False, or holds a different run
        (the message says what differs).
        """
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        manifest = folder / MANIFEST
        if manifest.exists():
            if not resume:
                raise SamplingError(
                    f"The folder {folder} already holds a checkpoint. Go on with it by `resume=True`, give "
                    "another folder, or delete this one."
                )
            _refuse_another_run(folder, _read_manifest(manifest), run)
        for unfinished in folder.glob(f"{TEMPORARY}*"):
            unfinished.unlink(missing_ok=True)
        if not manifest.exists():
            text = json.dumps(dict(run), indent=1)
            _write(manifest, "manifest", lambda file: file.write(text.encode()))
        return cls(folder)

    def load(self, lane: int) -> Saved | None:
        """What was saved of a lane, or None if nothing was."""
        path = self._state_path(lane)
        if not path.exists():
            return None
        state = _read_arrays(path)
        try:
            iteration, segments, count = (int(n) for n in state["counts"])
            leaves = [state[f"leaf_{i}"] for i in range(len(state) - 1)]
            draws = self._load_draws(lane, segments)
        except (KeyError, ValueError) as error:
            raise _unreadable(path, error) from error
        if any(values.shape[1] != count for values in draws.values()):
            raise _unreadable(path, "its draws are not all there")
        self._segments[lane], self._counts[lane] = segments, count
        return Saved(iteration, leaves, draws, count)

    def save(
        self, lane: int, iteration: int, leaves: list[NDArray], draws: Mapping[str, NDArray], count: int
    ) -> None:
        """Save the state of a lane after ``iteration`` iterations and those of its ``count`` draws so far
        (arrays (chain, at least count, ...) by name) that are not on disk yet."""
        segment, saved = self._segments.get(lane, 0), self._counts.get(lane, 0)
        if count > saved:
            new = {f"draws_{i}": values[:, saved:count] for i, values in enumerate(draws.values())}
            new["names"] = np.array(list(draws))
            _write(self._segment_path(lane, segment), "draws", _arrays(new))
            segment += 1
        arrays = {f"leaf_{i}": leaf for i, leaf in enumerate(leaves)}
        arrays["counts"] = np.array([iteration, segment, count])
        _write(self._state_path(lane), "state", _arrays(arrays))
        self._segments[lane], self._counts[lane] = segment, count

    def _load_draws(self, lane: int, segments: int) -> dict[str, NDArray]:
        parts: dict[str, list[NDArray]] = {}
        for segment in range(segments):
            arrays = _read_arrays(self._segment_path(lane, segment))
            for i, name in enumerate(arrays["names"]):
                parts.setdefault(str(name), []).append(arrays[f"draws_{i}"])
        return {name: np.concatenate(values, axis=1) for name, values in parts.items()}

    def _state_path(self, lane: int) -> Path:
        return self.folder / f"lane-{lane:03d}.npz"

    def _segment_path(self, lane: int, segment: int) -> Path:
        return self.folder / f"lane-{lane:03d}-draws-{segment:06d}.npz"


def fingerprint(program: FlatProgram, settings: SamplerSettings, chain_method: str) -> dict[str, Any]:
    """Everything the bits of the draws depend on, as JSON: versions, platform, program, data and settings.

    The number of iterations is not part of it (a finished run can be extended), nor are cores and time
    budget.
    """
    import jax

    from .. import __version__

    init = settings.init
    return {
        "format": FORMAT,
        "bayesmlm": __version__,
        "jax": version("jax"),
        "jaxlib": version("jaxlib"),
        "numpyro": version("numpyro"),
        "platform": f"{jax.default_backend()} {platform.machine()}",
        "program": hashlib.sha256(program.key.encode()).hexdigest(),
        "dimension": program.dimension,
        "data": _digest(program.data),
        "chains": settings.chains,
        "warmup": settings.warmup,
        "thin": settings.thin,
        "seed": settings.seed,
        "adapt_delta": float(settings.adapt_delta),
        "max_treedepth": settings.max_treedepth,
        "init": _digest(init)
        if isinstance(init, np.ndarray)
        else init
        if isinstance(init, str)
        else float(init),
        "chain_method": chain_method,
    }


def _digest(tree: Any) -> str:
    import jax

    leaves, structure = jax.tree.flatten(tree)
    digest = hashlib.sha256(str(structure).encode())
    for leaf in map(np.asarray, leaves):
        digest.update(f"{leaf.shape} {leaf.dtype}".encode())
        digest.update(np.ascontiguousarray(leaf).tobytes())
    return digest.hexdigest()


def _refuse_another_run(folder: Path, saved: Mapping[str, Any], run: Mapping[str, Any]) -> None:
    hashed = {"program": "the model's structure", "data": "the data"}
    differing = [name for name in run if saved.get(name) != run[name]]
    if differing:
        told = (
            hashed.get(name) or f"{name} ({saved.get(name)} there, {run[name]} here)" for name in differing
        )
        raise SamplingError(
            f"The checkpoint in {folder} belongs to another run and cannot be continued bit for bit. What "
            f"differs: {', '.join(told)}. Give the settings of that run, or another folder."
        )


def _read_manifest(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    if not isinstance(content, dict):
        raise _unreadable(path, "it is not a manifest")
    return content


def _read_arrays(path: Path) -> dict[str, NDArray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise _unreadable(path, error) from error


def _arrays(arrays: dict[str, Any]) -> Callable[[BinaryIO], object]:
    return lambda file: np.savez(file, **arrays)


def _unreadable(path: Path, why: object) -> SamplingError:
    return SamplingError(
        f"The checkpoint file {path} cannot be read ({why}). Delete the folder and start again."
    )


def _write(path: Path, kind: str, write: Callable[[BinaryIO], object]) -> None:
    """Put a file in its place in one step, so that it is there in full or not at all."""
    descriptor, temporary = tempfile.mkstemp(prefix=TEMPORARY, dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            crash_hook(f"{kind}: opened")
            write(file)
            file.flush()
            crash_hook(f"{kind}: written")
            os.fsync(file.fileno())
        crash_hook(f"{kind}: synced")
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    crash_hook(f"{kind}: renamed")
    _sync_folder(path.parent)
    crash_hook(f"{kind}: folder synced")


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return  # folders cannot be flushed there; the rename is still atomic
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
