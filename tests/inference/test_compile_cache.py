"""The table of programs and the folder behind it; JAX's own event counters say what was loaded."""

from __future__ import annotations

import os
import stat
import threading
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from bayesmlm.errors import BayesmlmWarning
from bayesmlm.inference import compile_cache
from bayesmlm.inference.compile_cache import cache_folder, compilations, compiled, forget_programs
from bayesmlm.inference.machine import cache_root
from bayesmlm.inference.x64 import x64

ARGUMENT = (np.arange(3.0),)


def double(x: Any) -> Any:
    return 2 * x


def compile_double(key: str = "double", fresh: bool = True) -> Any:
    """Compile as a new process would, unless ``fresh`` is False."""
    if fresh:
        forget_programs()
    program = compiled(double, ARGUMENT, name="double", key=key)
    with x64():
        np.testing.assert_array_equal(np.asarray(program(*ARGUMENT)), [0.0, 2.0, 4.0])
    return program


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of its own."""
    monkeypatch.setenv("BAYESMLM_CACHE_DIR", str(tmp_path / "cache"))
    path = cache_folder()
    assert path is not None
    return path


@pytest.fixture
def events() -> Iterator[Counter[str]]:
    """JAX's counts of entries found on disk ("hits") and written ("misses")."""
    seen: Counter[str] = Counter()
    listening = True

    def listen(event: str, **_: Any) -> None:
        if listening and event.startswith("/jax/compilation_cache/cache_"):
            seen[event.removeprefix("/jax/compilation_cache/cache_")] += 1

    jax.monitoring.register_event_listener(listen)
    yield seen
    listening = False  # JAX offers no public way to take a listener off


@pytest.fixture(autouse=True)
def configuration_untouched() -> Iterator[None]:
    before = dict(jax.config.values)
    yield
    assert dict(jax.config.values) == before
    forget_programs()


def test_programs_are_kept_in_the_process_and_on_disk(folder: Path, events: Counter[str]) -> None:
    before = compilations()
    compile_double()
    compile_double(fresh=False)
    assert compilations() == before + 1
    assert events == {"misses": 1}
    compile_double()
    assert compilations() == before + 2
    assert events == {"misses": 1, "hits": 1}
    assert len(list(folder.iterdir())) == 1, "one entry, and nothing left over"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_the_key_tells_structures_apart(folder: Path, events: Counter[str]) -> None:
    compile_double("a")
    triple = compiled(lambda x: 3 * x, ARGUMENT, name="double", key="b")
    with x64():
        np.testing.assert_array_equal(np.asarray(triple(*ARGUMENT)), [0.0, 3.0, 6.0])
    wider = compiled(double, (np.arange(4.0),), name="double", key="a")
    assert wider.out_info.shape == (4,)


@pytest.mark.parametrize("damage", ["truncated", "empty", "changed"])
def test_a_damaged_entry_is_repaired(folder: Path, events: Counter[str], damage: str) -> None:
    compile_double()
    (entry,) = folder.iterdir()
    whole = entry.read_bytes()
    damaged = {
        "truncated": whole[: len(whole) // 2],
        "empty": b"",
        "changed": whole[:99] + b"x" + whole[100:],
    }
    entry.write_bytes(damaged[damage])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compile_double()  # compiles, and removes the entry
        assert not list(folder.iterdir())
        compile_double()  # compiles, and writes it
        compile_double()  # loads it
    assert events["hits"] == 1


def test_the_users_own_cache_is_used_instead(folder: Path, tmp_path: Path, events: Counter[str]) -> None:
    from jax.experimental.compilation_cache import compilation_cache

    own = tmp_path / "own"
    before = {
        name: getattr(jax.config, name)
        for name in ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
    }
    try:
        jax.config.update("jax_compilation_cache_dir", str(own))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        compilation_cache.reset_cache()
        compile_double()
        assert jax.config.jax_compilation_cache_dir == str(own)
    finally:
        for name, value in before.items():
            jax.config.update(name, value)
        compilation_cache.reset_cache()
    assert not list(folder.iterdir())
    assert list(own.glob("jit_double*"))


def test_the_users_compilations_do_not_land_in_our_folder(folder: Path) -> None:
    compile_double()
    count = len(list(folder.iterdir()))
    jax.jit(lambda x: x - 7)(np.float32(1)).block_until_ready()
    assert len(list(folder.iterdir())) == count


def test_warnings_of_others_are_passed_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lowered = jax.jit(double).lower(*ARGUMENT)

    class Warns:
        def compile(self) -> Any:
            warnings.warn("something else", UserWarning, stacklevel=1)
            return lowered.compile()

    with pytest.warns(UserWarning, match="something else"):
        compile_cache._compile([Warns()], ["double"])


def test_a_folder_that_cannot_be_written_gives_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("BAYESMLM_CACHE_DIR", str(tmp_path / "file" / "cache"))
    with pytest.warns(BayesmlmWarning, match="cannot be kept in .* Set BAYESMLM_CACHE_DIR") as seen:
        compile_double()
    assert len(seen) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compile_double("another")


@pytest.mark.skipif(os.name != "posix", reason="permissions of this kind are POSIX's")
def test_a_folder_that_others_can_write_to_is_not_trusted(folder: Path) -> None:
    folder.chmod(0o777)
    with pytest.warns(BayesmlmWarning, match="other users can write to it"):
        compile_double()
    assert not list(folder.iterdir())


def test_the_table_is_bounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compile_cache, "PROGRAMS_KEPT", 2)
    for key in ("a", "b", "a", "c"):
        compile_double(key, fresh=False)
    before = compilations()
    compile_double("a", fresh=False)
    compile_double("c", fresh=False)
    assert compilations() == before
    compile_double("b", fresh=False)
    assert compilations() == before + 1


def test_the_folder_is_bounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compile_double("a")
    (oldest,) = folder.iterdir()
    os.utime(oldest, (1, 1))
    compile_double("b")
    monkeypatch.setattr(compile_cache, "DISK_LIMIT", int(2.5 * oldest.stat().st_size))
    compile_double("c")
    assert len(list(folder.iterdir())) == 2
    assert not oldest.exists()


def test_what_a_killed_process_left_is_removed(folder: Path) -> None:
    for name, age in (("scratch-old", 7200.0), ("scratch-new", 0.0)):
        (folder / name).mkdir()
        os.utime(folder / name, (time.time() - age,) * 2)
    compile_double()
    assert not (folder / "scratch-old").exists()
    assert (folder / "scratch-new").exists(), "it may belong to a process that is compiling"


def test_many_threads_compile_once(folder: Path) -> None:
    before = compilations()
    threads = [threading.Thread(target=compile_double, kwargs={"fresh": False}) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert compilations() == before + 1


PLACES = {
    "linux": ({"XDG_CACHE_HOME": "/x"}, Path("/x/bayesmlm")),
    "darwin": ({}, Path("~/Library/Caches/bayesmlm").expanduser()),
    "win32": ({"LOCALAPPDATA": "/local"}, Path("/local/bayesmlm")),
}


@pytest.mark.parametrize(("platform", "place"), PLACES.items(), ids=PLACES)
def test_default_places(
    platform: str, place: tuple[dict[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BAYESMLM_CACHE_DIR", raising=False)
    monkeypatch.setattr("sys.platform", platform)
    for name, value in place[0].items():
        monkeypatch.setenv(name, value)
    assert cache_root() == place[1]
