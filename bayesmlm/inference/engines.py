"""The engines that `brm` can choose from: one row for each, and the one call behind which they stand.

An engine is a function of a `FlatProgram` and `SamplerSettings` that returns `Draws`. One that approximates adds
`Draws.approximation`, and ``lp`` and ``lq`` to the statistics of its draws.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from ..errors import BayesmlmError
from .protocol import Draws, FlatProgram, SamplerSettings

__all__ = ["ENGINES", "Engine", "algorithm_named", "run"]


@dataclass(frozen=True)
class Engine:
    """Where an engine is and what it can do.

    ``module`` (beside this one) and ``function``: imported when first used. ``controls``: keys of brms's ``control``
    that it knows. ``chains``: whether its draws are chains of ``iter`` iterations, not ``output_samples`` independent
    draws in one chain. ``checkpoints``: whether a run of it can be saved half done and resumed; its function then takes
    ``checkpoint`` and ``resume``.
    """

    module: str
    function: str
    controls: tuple[str, ...]
    chains: bool = False
    checkpoints: bool = False

    def draws(self, settings: SamplerSettings) -> int:
        """How many draws it will return."""
        if not self.chains:
            return settings.output_samples
        return settings.chains * -(-(settings.iterations - settings.warmup) // settings.thin)


ENGINES: Mapping[str, Engine] = {
    "sampling": Engine("sample", "sample", ("adapt_delta", "max_treedepth"), True, True),
    "laplace": Engine("laplace", "laplace", ("importance_resampling", "adapt_delta", "max_treedepth")),
    "pathfinder": Engine("pathfinder", "pathfinder", ("importance_resampling",)),
    "meanfield": Engine("variational", "variational", ("importance_resampling",)),
    "fullrank": Engine("variational", "variational", ("importance_resampling",)),
}
"""By brms's name of the algorithm."""

SAME = {"nuts": "sampling"}
REFUSED = {
    "fixed_param": "draws nothing: Stan uses it for programs without parameters, which no formula describes",
    "optimizing": "gives a point and no posterior; lmer() and glmer() maximise a likelihood",
}
"""Algorithms of Stan that are not here, and why."""


def algorithm_named(name: Any) -> str:
    """The key in `ENGINES` of an algorithm as the user names it; `BayesmlmError` with the list for another."""
    if isinstance(name, str) and SAME.get(name, name) in ENGINES:
        return SAME.get(name, name)
    known = ", ".join(f'"{key}"' for key in ENGINES)
    why = f" {REFUSED[name]}." if isinstance(name, str) and name in REFUSED else ""
    raise BayesmlmError(f"algorithm={name!r} is not available.{why} Algorithms: {known}")


def run(
    program: FlatProgram,
    settings: SamplerSettings,
    *,
    progress: bool = True,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
) -> Draws:
    """Draws by the engine that ``settings.algorithm`` names; further arguments as `sample.sample`'s."""
    engine = ENGINES[settings.algorithm]
    saving: dict[str, Any] = {}
    if engine.checkpoints:
        saving = {"checkpoint": checkpoint, "resume": resume}
    elif checkpoint is not None:
        raise BayesmlmError(
            f'algorithm="{settings.algorithm}" keeps no checkpoints: it is done in one go; leave checkpoint= out'
        )
    function = getattr(import_module(f".{engine.module}", __package__), engine.function)
    drawn: Draws = function(program, settings, progress=progress, **saving)
    return drawn
