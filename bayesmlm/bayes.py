"""`brm()`: from a formula and a data frame to a fitted Bayesian multilevel model."""

from __future__ import annotations

import secrets
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .data.frame import Frame
from .errors import BayesmlmError, BayesmlmWarning, DataError, FormulaError
from .families.base import Family
from .families.registry import family as as_family
from .formula import MultivariateFormula, as_bayes_formula
from .formula.available import refuse_unavailable
from .inference.engines import ENGINES, algorithm_named
from .inference.protocol import SamplerSettings
from .messages import inform
from .model.design import Design, build_design

if TYPE_CHECKING:
    from .model.spec import ModelSpec
    from .priors.prior import PriorSet
    from .results.fit import BayesFit

__all__ = ["brm", "default_prior", "prepare", "standata", "update", "validate_prior"]

EFFECTS_LIMIT = 8_000_000_000
"""Bytes of draws of group effects that are kept without being asked for."""

NO_MEANING = {
    "data2": "known covariance matrices are not available yet",
    "backend": "every model is sampled by NumPyro's NUTS through JAX",
    "threads": "threads within a chain are JAX's affair",
    "opencl": "JAX uses the accelerator it finds",
    "normalize": "densities are always normalised",
    "silent": "use progress=False",
    "refresh": "use progress=False",
    "save_model": "use fit.model_code",
    "future": "chains run on threads",
    "stan_model_args": "nothing is compiled by Stan",
    "knots": "smooth terms are not available yet",
    "fit": "a compiled program is used again for every fit of the same structure",
    "rename": "parameters always have brms's names",
    "file_compress": "saved fits are netCDF files",
}
"""brms arguments that mean nothing here: accepted, with these words, so that scripts port."""

REFUSED = {
    "stanvars": "Stan code is not run here; functions= takes your own functions for the formula",
    "empty": "standata(), default_prior() and validate_prior() show a model without fitting it",
}
"""brms arguments that would change the result, and are not there."""


def prepare(
    formula: Any,
    data: Any,
    family: Any = None,
    *,
    functions: Mapping[str, Callable[..., Any]] | None = None,
    contrasts: Mapping[str, Any] | None = None,
    drop_unused_levels: bool = True,
) -> Design:
    """Formula, data and family to a `Design`; everything that can be refused without compiling is refused here."""
    parsed = as_bayes_formula(formula)
    refuse_unavailable(parsed)
    if isinstance(parsed, MultivariateFormula):
        raise FormulaError("formulas with several responses are not available yet")
    given = family if family is not None else parsed.family
    chosen = as_family("gaussian" if given is None else given)
    return build_design(
        parsed,
        chosen,
        Frame.from_any(data),
        functions=functions,
        contrasts=contrasts,
        drop_unused_levels=drop_unused_levels,
    )


def brm(
    formula: Any,
    data: Any = None,
    family: Any = None,
    prior: Any = None,
    *,
    sample_prior: str = "no",
    functions: Mapping[str, Callable[..., Any]] | None = None,
    contrasts: Mapping[str, Any] | None = None,
    chains: int = 4,
    iter: int = 2000,
    warmup: int | None = None,
    thin: int = 1,
    cores: int | None = None,
    seed: int | None = None,
    init: Any = None,
    control: Mapping[str, Any] | None = None,
    algorithm: str = "sampling",
    output_samples: int = 1000,
    save_pars: Any = None,
    marginalize: bool = True,
    parameterisation: Any = "auto",
    file: str | Path | None = None,
    file_refit: str = "never",
    checkpoint: str | Path | None = None,
    resume: bool = False,
    time_budget: float | None = None,
    chain_method: str | None = None,
    drop_unused_levels: bool = True,
    progress: bool = True,
    **brms_arguments: Any,
) -> BayesFit:
    """Fit a Bayesian multilevel model, by NUTS or approximately; arguments and defaults as in brms.

    Args:
        formula: text, ``"y ~ x + (x | g)"``, or the result of `bf`.
        data: a pandas, polars or pyarrow table, or a dict of columns.
        family: a name, R text or `brmsfamily`; gaussian if nothing is said here or in the formula.
        prior: one or more `set_prior`; brms's defaults where nothing is said (`default_prior` shows them).
        sample_prior: "no"; "yes" adds ``prior_*`` draws; "only" leaves the likelihood out.
        functions: your own functions that the formula may call, by name.
        contrasts: coding of factors, by column: ``"treatment"``, ``"sum"``, ... or a matrix.
        chains: number of chains.
        iter: iterations of each chain, warm-up included.
        warmup: iterations that adapt the sampler and are not kept; half of ``iter`` if not given.
        thin: keep every ``thin``-th draw.
        cores: threads that chains run on, all cores if not given. It changes the time, not the draws.
        seed: a whole number; the same seed gives the same draws.
        init: "random" or None (uniform(-2, 2) on the unconstrained scale), another radius, 0, or values by
            parameter: a dict, a list with a dict for each chain, or a function that returns one; "laplace" starts
            NUTS around the mode, with its curvature as mass matrix.
        control: ``adapt_delta`` (0.8) and ``max_treedepth`` (10); of the approximations, ``importance_resampling``
            (False).
        algorithm: "sampling" (or "nuts"): NUTS. Approximations of the posterior, in seconds, whose quality
            ``fit.approximation`` says: "laplace" (group effects integrated out), "pathfinder", and the variational
            "meanfield" and "fullrank"; what ``chains``, ``iter`` and ``init`` mean to them is in docs/sampling.md.
        output_samples: draws from an approximation, which make one chain; sampling does not use it.
        save_pars: ``{"group": False}`` does not keep the draws of group effects.
        marginalize: integrate the group effects of a normal likelihood out and draw them exactly afterwards; the
            posterior is the same, the sampler many times faster. ``print(fit.spec)`` says which were, and why others
            were not.
        parameterisation: of the group effects for the sampler; it changes the speed, not the posterior.
            "noncentred", "partial" (as far as the data inform about each level), "centred", or a dict of these by
            grouping factor; "auto" chooses for each, and ``print(fit.spec)`` says what and why.
        file: save the fit there and read it back next time.
        file_refit: "never", "on_change" (formula, data or priors) or "always".
        checkpoint: a folder from which a killed run goes on, bit for bit, with ``resume=True``.
        resume: go on from ``checkpoint`` if it holds a run.
        time_budget: seconds after which sampling stops with the draws it has.
        chain_method: "threads" or "vectorized" (all chains as one array program).
        drop_unused_levels: leave out levels of factors that no row has.
        progress: whether to show progress.
        brms_arguments: further arguments of brms's ``brm`` (``backend``, ``threads``, ``data2``, ...): those that
            mean nothing here are accepted with a word.

    Returns:
        A `BayesFit`; ``print(fit)`` shows brms's summary.

    Raises:
        FormulaError, DataError, PriorError: before anything is compiled.
        SamplingError: no starting point with a finite log density was found, or a setting makes no sense.
        TypeError: an argument that brms does not have either.
    """
    from . import io
    from .results.assemble import assemble

    started = time.perf_counter()
    _say_what_is_ignored(brms_arguments)
    _refuse_early(data, checkpoint, seed)
    settings = sampler_settings(
        chains,
        iter,
        warmup,
        thin,
        cores,
        seed,
        control,
        algorithm=algorithm,
        output_samples=output_samples,
        time_budget=time_budget,
        chain_method=chain_method,
    )

    def specified() -> ModelSpec:
        design = prepare(
            formula,
            data,
            family,
            functions=functions,
            contrasts=contrasts,
            drop_unused_levels=drop_unused_levels,
        )
        keep = keeps_effects(design, settings, save_pars)
        return specification(
            design,
            prior,
            sample_prior,
            keep_effects=keep,
            marginalize=marginalize,
            parameterisation=parameterisation,
            laplace=settings.algorithm == "laplace",
        )

    stored, spec = io.reusable(
        file, file_refit, specified, functions, _custom_families(formula, family), settings.algorithm
    )
    if stored is not None:
        return stored
    spec = spec or specified()
    for message in spec.design.messages:
        inform(message)
    if spec.algorithm(settings.algorithm) != settings.algorithm:
        inform(_nothing_to_approximate(spec))
        settings = replace(settings, algorithm=spec.algorithm(settings.algorithm))
    from .inference.engines import run
    from .model.initial import initial_values

    settings, program = initial_values(spec, settings, init), spec.program
    setup = time.perf_counter() - started
    draws = run(program, settings, progress=progress, checkpoint=checkpoint, resume=resume)
    call = {
        "prior": prior,
        "sample_prior": sample_prior,
        "contrasts": contrasts,
        "control": dict(control or {}),
        "functions": functions,
        "marginalize": marginalize,
        "parameterisation": parameterisation,
    }
    fit = assemble(spec, draws, call, sample_prior=sample_prior, setup=setup)
    if file is not None:
        try:
            io.save(fit, file)
        except OSError as error:
            # A full disk must not lose a finished fit.
            text = (
                f"the fit could not be saved to {io.with_suffix(file)} ({error}); it is returned all the same"
            )
            warnings.warn(text, BayesmlmWarning, stacklevel=2)
    return fit


def _custom_families(formula: Any, family: Any) -> list[Family]:
    """The families made by `custom_family` that a model's family is or consists of: a file does not hold them."""
    chosen = family if family is not None else getattr(formula, "family", None)
    if not isinstance(chosen, Family):
        return []
    return [one for one in (chosen, *chosen.components) if "custom" in one.options]


def _nothing_to_approximate(spec: ModelSpec) -> str:
    if spec.integration.blocks:
        return (
            "with a normal likelihood Laplace's approximation of the group effects is exact: they are integrated out, "
            "and NUTS draws the other parameters."
        )
    return (
        'algorithm="laplace" integrates group effects, and there are none here beside other parameters: the model is '
        "sampled by NUTS."
    )


def _refuse_early(data: Any, checkpoint: Any, seed: int | None) -> None:
    if data is None:
        raise DataError("brm() needs data: pass a data frame, brm(formula, data=df)")
    if checkpoint is not None and seed is None:
        raise BayesmlmError(
            "checkpoint= needs a seed: a resumed run must draw the same random numbers; pass seed=1"
        )


def specification(
    design: Design,
    prior: Any,
    sample_prior: str = "no",
    *,
    keep_effects: bool = True,
    marginalize: bool = True,
    parameterisation: Any = "auto",
    laplace: bool = False,
) -> ModelSpec:
    """Design and user priors to a `ModelSpec`; further arguments as `brm`'s and `specify`'s. Raises `PriorError`."""
    from .model.spec import outline, specify
    from .priors.resolve import resolve

    if sample_prior not in ("no", "yes", "only"):
        raise BayesmlmError(f'sample_prior must be "no", "yes" or "only", not {sample_prior!r}')
    resolved = resolve(outline(design), prior, sample_prior=sample_prior)
    return specify(
        design,
        resolved,
        likelihood=sample_prior != "only",
        keep_effects=keep_effects,
        marginalize=marginalize,
        parameterisation=parameterisation,
        laplace=laplace,
    )


def sampler_settings(
    chains: int,
    iter: int,
    warmup: int | None,
    thin: int,
    cores: int | None,
    seed: int | None,
    control: Mapping[str, Any] | None,
    *,
    algorithm: str = "sampling",
    output_samples: int = 1000,
    **further: Any,
) -> SamplerSettings:
    """brms's sampler arguments, checked."""
    algorithm = algorithm_named(algorithm)
    warmup = iter // 2 if warmup is None else warmup
    whole = {"chains": chains, "iter": iter, "warmup": warmup, "thin": thin, "output_samples": output_samples}
    for name, value in whole.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise BayesmlmError(f"{name} must be a whole number, not {value!r}")
    if chains < 1 or thin < 1 or warmup < 0 or warmup >= iter:
        raise BayesmlmError(
            f"need chains >= 1, thin >= 1 and 0 <= warmup < iter; got chains={chains}, thin={thin}, "
            f"warmup={warmup}, iter={iter}"
        )
    if output_samples < 1:
        raise BayesmlmError(f"output_samples must be at least 1, not {output_samples}")
    known = ENGINES[algorithm].controls
    for name in control or {}:
        if name not in known:
            inform(f'control argument `{name}` has no meaning for algorithm="{algorithm}" and is ignored.')
    control = {name: value for name, value in (control or {}).items() if name in known}
    adapt_delta = float(control.get("adapt_delta", 0.8))
    max_treedepth = int(control.get("max_treedepth", 10))
    importance_resampling = control.get("importance_resampling", False)
    if not isinstance(importance_resampling, bool | np.bool_):
        raise BayesmlmError(
            f"control importance_resampling must be True or False, not {importance_resampling!r}"
        )
    if not 0 < adapt_delta < 1:
        raise BayesmlmError(f"control adapt_delta must lie between 0 and 1, not {adapt_delta:g}")
    if not 1 <= max_treedepth <= 20:
        raise BayesmlmError(f"control max_treedepth must lie between 1 and 20, not {max_treedepth}")
    if seed is None:
        seed = secrets.randbelow(2**31)
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**63:
        raise BayesmlmError(f"seed must be a whole number that is not negative, not {seed!r}")
    return SamplerSettings(
        int(chains),
        int(iter),
        int(warmup),
        int(thin),
        int(seed),
        adapt_delta,
        max_treedepth,
        cores,
        algorithm=algorithm,
        output_samples=int(output_samples),
        importance_resampling=bool(importance_resampling),
        **further,
    )


def _say_what_is_ignored(arguments: Mapping[str, Any]) -> None:
    for name, value in arguments.items():
        if name not in NO_MEANING and name not in REFUSED:
            raise TypeError(f"brm() got an unexpected argument {name!r}")
        if value is None or (name in REFUSED and value is False):
            continue
        if name in REFUSED:
            raise BayesmlmError(f"`{name}` is not available: {REFUSED[name]}")
        inform(f"`{name}` has no meaning here and is ignored: {NO_MEANING[name]}.")


def keeps_effects(design: Design, settings: SamplerSettings, save_pars: Any) -> bool:
    """brms's ``save_pars``: whether draws of the group effects are kept.

    ``{"group": True}`` keeps them whatever their size, ``{"group": False}`` never; by default they are kept up to
    `EFFECTS_LIMIT` bytes, and the user is told when they are not.
    """
    known = {"group", "latent", "all", "manual"}
    if save_pars is not None and (not isinstance(save_pars, Mapping) or set(save_pars) - known):
        raise BayesmlmError(f'save_pars must be a dict such as {{"group": False}}, not {save_pars!r}')
    if save_pars is not None and "group" in save_pars:
        return bool(save_pars["group"])
    effects = sum(len(block.levels) * block.size for block in design.blocks)
    draws = ENGINES[settings.algorithm].draws(settings)
    # Stored twice: the effects, and the standardised ones that the sampler moves.
    size = 2 * 8 * effects * draws
    if size <= EFFECTS_LIMIT:
        return True
    inform(
        f"draws of the {effects} group effects would take {size / 1e9:.0f} GB and are not kept; "
        'save_pars={"group": True} keeps them, thin= or fewer iterations make them smaller.'
    )
    return False


def default_prior(formula: Any, data: Any, family: Any = None, **arguments: Any) -> PriorSet:
    """brms's ``default_prior()``/``get_prior()``: every prior the model has, and which can be set."""
    from .model.spec import outline
    from .priors.defaults import default_prior_table

    return default_prior_table(outline(prepare(formula, data, family, **arguments)))


def validate_prior(
    prior: Any, formula: Any, data: Any, family: Any = None, *, sample_prior: str = "no", **arguments: Any
) -> PriorSet:
    """The full table of priors with ``prior`` put in; raises `PriorError` for one that matches nothing."""
    from .model.spec import outline
    from .priors.resolve import resolve

    design = prepare(formula, data, family, **arguments)
    return resolve(outline(design), prior, sample_prior=sample_prior).table


def standata(
    formula: Any, data: Any, family: Any = None, *, sample_prior: str = "no", **arguments: Any
) -> dict[str, Any]:
    """The design as named arrays under brms's keys (``N Y K X Z_1_1 J_1 N_1 M_1 NC_1 ... prior_only``).

    ``J_*`` count from 1, as in Stan.
    """
    from .model.standata import standata as arrays

    return arrays(prepare(formula, data, family, **arguments), prior_only=sample_prior == "only")


def update(fit: BayesFit, formula: Any = None, newdata: Any = None, **arguments: Any) -> BayesFit:
    """Fit again; what is not given is taken from ``fit``. ``formula`` may use ``.`` for the old sides."""
    from .formula.update import update_formula

    new = fit.formula if formula is None else update_formula(fit.formula, formula)
    settings = fit.settings
    call = {
        "family": fit.family,
        "chains": settings.chains,
        "iter": settings.iterations,
        "warmup": settings.warmup if "iter" not in arguments else None,
        "thin": settings.thin,
        "cores": settings.cores,
        "seed": settings.seed,
        "algorithm": settings.algorithm,
        "output_samples": settings.output_samples,
        **fit.call,
    }
    return brm(new, fit.data if newdata is None else newdata, **{**call, **arguments})
