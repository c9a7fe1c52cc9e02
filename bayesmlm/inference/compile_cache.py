"""Compiled programs, kept in the process and on disk, so that a structure is compiled once per machine.

Two layers. A table in the process (least recently used programs leave first): a second fit of the same
structure neither traces nor compiles. JAX's persistent cache on disk: a fit in a new process traces, and
loads the machine code in a tenth of the time. JAX's cache is a process-wide setting; left pointing at our
folder it would catch the user's own compilations, so it is set only for the length of one compilation, under
a lock, and yields to a cache that the user has set. The folder holds native code: it belongs to the user
alone (mode 0700).

JAX writes its entries in place, so that a kill can leave half an entry, which then warns and recompiles for
ever. Here JAX sees a scratch folder that holds links to the entries of the programs it is to compile; a new
entry is moved into the shared folder in one step when it is complete. Entries that are unreadable nevertheless
are removed, and written anew by the next process.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
import threading
import time
import warnings
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..errors import BayesmlmWarning
from .machine import cache_root, machine_label
from .x64 import x64

__all__ = ["Request", "cache_folder", "compilations", "compiled", "compiled_together", "forget_programs"]

PROGRAMS_KEPT = 64
DISK_LIMIT = 1 << 30  # bytes; the entries unused for longest are removed beyond it
SCRATCH_PREFIX = "scratch-"
SCRATCH_LIFETIME = 3600.0  # seconds; an older scratch folder belongs to a process that was killed

_lock = threading.RLock()
_programs: OrderedDict[Hashable, Any] = OrderedDict()
_compilations = 0
_warned_folders: set[str] = set()


@dataclass(frozen=True)
class Request:
    """A program that is wanted: ``function`` for ``arguments``; see `compiled`.

    ``arguments`` may be a function of the ``out_info`` of the programs requested before it.
    """

    function: Callable[..., Any]
    arguments: tuple[Any, ...] | Callable[[list[Any]], tuple[Any, ...]]
    name: str
    key: str


def compiled(function: Callable[..., Any], arguments: tuple[Any, ...], *, name: str, key: str) -> Any:
    """``function`` compiled for ``arguments`` (pytrees of arrays or of ``jax.ShapeDtypeStruct``), in float64.

    ``key`` is the structure as text: two functions of one name and key must trace to the same code for
    arguments of the same shapes and types, so every static setting belongs in it. ``name`` (letters, digits,
    underscores) is for the reader of profiles and of the cache folder. Call the program with arrays, inside
    ``x64()``.
    """
    return compiled_together([Request(function, arguments, name, key)])[0]


def compiled_together(requests: Sequence[Request]) -> list[Any]:
    """The programs of several requests; those that are new are traced one by one and compiled at the same time."""
    import jax

    global _compilations
    with _lock, x64():
        entries: list[Any] = []
        outputs: list[Any] = []
        lowered: dict[Any, Any] = {}
        for request in requests:
            arguments = request.arguments(outputs) if callable(request.arguments) else request.arguments
            module = f"{request.name}_{hashlib.sha256(request.key.encode()).hexdigest()[:16]}"
            entry = (module, jax.default_backend(), _signature(arguments))
            entries.append(entry)
            if entry not in _programs:
                # A fresh function for every program: JAX names the module, and with it the cache entry, after it,
                # and what JAX remembers about a traced function goes away with the function.
                lowered[entry] = jax.jit(_named(request.function, module)).lower(*arguments)
            outputs.append((_programs.get(entry) or lowered[entry]).out_info)
        made = _compile(list(lowered.values()), [entry[0] for entry in lowered])
        _compilations += len(made)
        _programs.update(zip(lowered, made, strict=True))
        for entry in entries:
            _programs.move_to_end(entry)
        while len(_programs) > PROGRAMS_KEPT:
            _programs.popitem(last=False)
        return [_programs[entry] for entry in entries]


def compilations() -> int:
    """How many programs this process has traced and compiled (or loaded from disk) so far."""
    return _compilations


def forget_programs() -> None:
    """Empty the table of this process; the cache on disk stays."""
    with _lock:
        _programs.clear()


def _named(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    def traced(*args: Any) -> Any:
        return function(*args)

    traced.__name__ = traced.__qualname__ = name
    return traced


def _signature(args: Any) -> Hashable:
    import jax
    import numpy as np

    leaves, structure = jax.tree.flatten(args)
    shapes = (
        (leaf.shape, leaf.dtype) if hasattr(leaf, "dtype") else np.asarray(leaf).dtype for leaf in leaves
    )
    return structure, tuple(map(str, shapes))


def _compile(lowered: list[Any], names: list[str]) -> list[Any]:
    """Compile through the cache on disk, unless the user has one of their own or has switched caching off."""
    import jax

    if not lowered:
        return []
    if jax.config.jax_compilation_cache_dir or not jax.config.jax_enable_compilation_cache:
        return _at_once(lowered)
    folder = cache_folder()
    if folder is None:
        return _at_once(lowered)
    try:
        scratch = _scratch_with_entries(folder, names)
    except OSError as error:
        _warn_once(folder, error)
        return _at_once(lowered)
    try:
        programs, unreadable = _compile_in(scratch, lowered)
        for name in names:
            _publish(scratch, folder, name, unreadable)
        return programs
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _at_once(lowered: list[Any]) -> list[Any]:
    """XLA compiles without Python's lock, so each program gets a thread."""
    if len(lowered) == 1:
        return [lowered[0].compile()]
    with ThreadPoolExecutor(len(lowered)) as pool:
        return list(pool.map(lambda one: one.compile(), lowered))


def _compile_in(scratch: Path, lowered: list[Any]) -> tuple[list[Any], bool]:
    """The programs, and whether JAX found an entry on disk unreadable."""
    with _jax_cache_at(scratch), warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        programs = _at_once(lowered)
    ours = [w for w in seen if "persistent compilation cache entry" in str(w.message)]
    for other in seen:
        if other not in ours:
            warnings.warn_explicit(other.message, other.category, other.filename, other.lineno)
    return programs, bool(ours)


@contextmanager
def _jax_cache_at(path: Path) -> Iterator[None]:
    """JAX's process-wide cache setting, changed and put back. The caller holds the lock."""
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    wanted = {
        "jax_compilation_cache_dir": str(path),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
        "jax_persistent_cache_enable_xla_caches": "none",
    }
    before = {name: getattr(jax.config, name) for name in wanted}
    try:
        for name, value in wanted.items():
            jax.config.update(name, value)
        compilation_cache.reset_cache()
        yield
    finally:
        for name, value in before.items():
            jax.config.update(name, value)
        compilation_cache.reset_cache()


def cache_folder() -> Path | None:
    """The folder of compiled programs for this jaxlib and processor, made if need be; None (after one
    warning) if it cannot be written or if others could write to it."""
    folder = cache_root() / f"jaxlib-{version('jaxlib')}-{machine_label()}"
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        owner = folder.stat()
        if os.name == "posix" and (owner.st_uid != os.getuid() or stat.S_IMODE(owner.st_mode) & 0o022):
            raise PermissionError("other users can write to it, and it would hold machine code")
    except OSError as error:
        _warn_once(folder, error)
        return None
    return folder


def _warn_once(folder: Path, error: OSError) -> None:
    if str(folder) not in _warned_folders:
        _warned_folders.add(str(folder))
        warnings.warn(
            f"Compiled programs cannot be kept in {folder} ({error}), so every new session compiles again. "
            "Set BAYESMLM_CACHE_DIR to a folder that you can write to.",
            BayesmlmWarning,
            stacklevel=2,
        )


def _scratch_with_entries(folder: Path, names: list[str]) -> Path:
    """A new folder inside ``folder`` that holds the entries of some programs, as links where the disk allows
    it."""
    _remove_stale(folder)
    scratch = Path(tempfile.mkdtemp(prefix=SCRATCH_PREFIX, dir=folder))
    for entry in (path for name in names for path in folder.glob(f"jit_{name}-*")):
        try:
            os.link(entry, scratch / entry.name)
        except FileNotFoundError:
            continue  # removed by another process in this moment
        except OSError:
            shutil.copyfile(entry, scratch / entry.name)
    return scratch


def _publish(scratch: Path, folder: Path, name: str, unreadable: bool) -> None:
    """Move a new entry into the shared folder in one step; drop entries that could not be read."""
    try:
        for entry in scratch.glob(f"jit_{name}-*"):
            shared = folder / entry.name
            if unreadable:
                shared.unlink(missing_ok=True)
            elif shared.exists():
                os.utime(shared)
            else:
                with entry.open("rb+") as file:
                    os.fsync(file.fileno())
                entry.replace(shared)
                _trim(folder)
    except OSError as error:
        _warn_once(folder, error)


def _trim(folder: Path) -> None:
    """Remove the entries unused for longest until the folder is within its limit."""
    entries = sorted(((e.stat().st_mtime, e.stat().st_size, e) for e in folder.glob("jit_*")), reverse=True)
    total = 0
    for _, size, entry in entries:
        total += size
        if total > DISK_LIMIT:
            entry.unlink(missing_ok=True)


def _remove_stale(folder: Path) -> None:
    for scratch in folder.glob(f"{SCRATCH_PREFIX}*"):
        try:
            stale = time.time() - scratch.stat().st_mtime > SCRATCH_LIFETIME
        except FileNotFoundError:
            continue  # removed by another process in this moment
        if stale:
            shutil.rmtree(scratch, ignore_errors=True)
