"""The same surroundings for every test: no screen, one thread per library, a compile cache of their own."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent

# Read when the libraries are first imported, so set before any test module is.
SURROUNDINGS = {
    "MPLBACKEND": "Agg",
    "JAX_PLATFORMS": "cpu",
    # pytest-xdist runs a worker per core; a pool of threads in each would only make them wait.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
    "BAYESMLM_CACHE_DIR": str(REPOSITORY / ".cache" / "compiled"),
}
for variable, value in SURROUNDINGS.items():
    os.environ.setdefault(variable, value)


@pytest.fixture(autouse=True)
def global_jax_configuration_untouched() -> Iterator[None]:
    """bayesmlm works in 64 bits inside a context and must leave the caller's JAX as it found it."""
    before = _sixty_four_bits()
    yield
    assert _sixty_four_bits() == before, "the test, or the package, changed jax_enable_x64 globally"


def _sixty_four_bits() -> bool:
    jax = sys.modules.get("jax")
    return jax is not None and bool(jax.config.jax_enable_x64)


@pytest.fixture(autouse=True)
def figures_closed() -> Iterator[None]:
    """Figures that a test leaves open would pile up in memory and make matplotlib warn in a later test."""
    yield
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        pyplot.close("all")
