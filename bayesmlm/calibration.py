"""Simulation-based calibration: does a model's sampler recover what its prior put in?

Parameters are drawn from the prior and responses from the model given them; the rank of each true value among the draws
from the posterior of its data is then uniform, exactly when the draws come from that posterior (Talts, Betancourt,
Simpson, Vehtari and Gelman 2018, "Validating Bayesian inference algorithms with simulation-based calibration"). The
log-likelihood is ranked too: it sees errors that leave the ranks of every single parameter uniform (Modrák et al. 2023,
Bayesian Analysis, "Simulation-based calibration checking ... : test quantities").
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .errors import BayesmlmError
from .families import conditional
from .families.additions import CENSORED
from .results import layout
from .results.uniformity import Uniformity, uniformity_of

if TYPE_CHECKING:
    from .inference.protocol import Draws
    from .model.spec import ModelSpec

__all__ = ["Calibration", "sbc"]

Values = dict[str, NDArray[np.float64]]

TOGETHER = 128
"""Data sets that are sampled in one go."""
CONTROL = {"adapt_delta": 0.9, "max_treedepth": 7}
"""Chains that advance together wait for the longest trajectory: it must not be a thousand steps in one of a hundred."""
LOG_LIKELIHOOD = "log_lik"
NOT_SIMULATED = ("weights", *CENSORED)


@dataclass(frozen=True, repr=False)
class Calibration:
    """What `sbc` returns; it prints as the table of `summary`.

    ``ranks``: one row for each data set, one column for each quantity: how many of the ``draws`` posterior draws lie
    below the true value, from 0 to ``draws``. ``truths``: the true values. ``diagnostics``: for each data set the
    number of divergent transitions and the smallest effective sample size over the quantities.
    """

    formula: str
    family: str
    draws: int
    ranks: pd.DataFrame
    truths: pd.DataFrame
    diagnostics: pd.DataFrame
    seed: int

    def uniformity(self, variable: str) -> Uniformity:
        """The empirical distribution of the ranks of one quantity, with the test of its uniformity."""
        if variable not in self.ranks:
            known = ", ".join(map(str, self.ranks))
            raise BayesmlmError(f"there are no ranks of `{variable}`; there are those of {known}")
        return uniformity_of(self.ranks[variable].to_numpy(), self.draws, self.seed)

    def summary(self) -> pd.DataFrame:
        """For each quantity: mean rank (0.5 when calibrated; lower: the posterior lies too high), the ranks' spread
        relative to a uniform's (below 1: the posterior is too wide, above 1: too narrow), and ``p``, that of the
        simultaneous test of their empirical distribution (Säilynoja, Bürkner and Vehtari 2022)."""
        u = (self.ranks + 0.5) / (self.draws + 1)
        table = pd.DataFrame({"mean_rank": u.mean(), "relative_spread": u.std() * np.sqrt(12)})
        table["p"] = [self.uniformity(str(name)).p for name in self.ranks]
        return table

    def worst(self) -> float:
        """The smallest p value, times the number of quantities (Bonferroni), at most 1."""
        return min(1.0, float(self.summary()["p"].min()) * self.ranks.shape[1])

    def plot(self, variables: Sequence[str] | None = None, **kwargs: Any) -> Any:
        """The empirical distribution functions of the ranks less the uniform's, with a simultaneous band; see
        `plots.calibration.plot_calibration`."""
        from .plots.calibration import plot_calibration

        return plot_calibration(self, variables, **kwargs)

    def __repr__(self) -> str:
        head = f"Calibration of {self.formula} ({self.family}): {len(self.ranks)} data sets, {self.draws} draws each"
        return f"{head}\n{self.summary().to_string(float_format=lambda x: f'{x:.3f}')}"


def sbc(
    formula: Any,
    data: Any,
    family: Any = None,
    prior: Any = None,
    n: int = 100,
    *,
    draws: int = 99,
    thin: int = 10,
    warmup: int = 500,
    variables: Sequence[str] | None = None,
    seed: int | None = None,
    control: Mapping[str, Any] | None = None,
    marginalize: bool = True,
    parameterisation: Any = "auto",
    functions: Mapping[str, Any] | None = None,
    contrasts: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> Calibration:
    """Simulation-based calibration of a model on the predictors of ``data``.

    Args:
        formula: as `brm`'s.
        data: as `brm`'s. Only predictors, group levels and additions matter; the response's column must be there and
            legal, for it defines the design.
        family: as `brm`'s.
        prior: as `brm`'s; every parameter needs a proper prior.
        n: number of data sets to simulate.
        draws: posterior draws that are kept for each; ranks go from 0 to this.
        thin: iterations for each draw that is kept: draws should be nearly independent.
        warmup: iterations before the first.
        variables: quantities to rank, in brms's flat names, group effects included (``"r_g[a,Intercept]"``); all but
            group effects if not given. The log-likelihood is always among them.
        seed: a whole number; the same seed gives the same ranks.
        control: ``adapt_delta`` (here 0.9) and ``max_treedepth`` (7).
        marginalize: as `brm`'s.
        parameterisation: as `brm`'s.
        functions: as `brm`'s.
        contrasts: as `brm`'s.
        progress: whether to show progress.

    All data sets of one structure are sampled as the chains of one compiled program.

    Raises:
        FormulaError, DataError, PriorError: as `brm`, and for a prior that is not proper.
        BayesmlmError: for weights and for censored or missing responses, of which no data are simulated, and when a
            simulated response is not finite.
    """
    from .bayes import sampler_settings

    if n < 2:
        raise BayesmlmError(f"n must be at least 2 data sets, not {n}")
    seed = secrets.randbelow(2**31) if seed is None else seed
    control = {**CONTROL, **(control or {})}
    settings = sampler_settings(n, warmup + draws * thin, warmup, thin, None, seed, control)
    design, priors = _prepared(formula, data, family, prior, functions, contrasts)
    how = {"marginalize": marginalize, "parameterisation": parameterisation}
    spec = _specified(design, priors, how)
    truths, responses = _simulated(spec, n, seed)
    specs = [_with_response(spec, y, how) for y in responses]
    pieces: dict[str, list[pd.DataFrame]] = {"ranks": [], "truths": [], "diagnostics": []}
    for batch in _batches(specs):
        own = [specs[i] for i in batch]
        drawn = _sampled(own, replace(settings, chains=len(batch), chain_method="vectorized"), progress)
        true = {name: values[batch] for name, values in truths.items()}
        for name, table in _ranked(own, drawn, true, variables).items():
            pieces[name].append(table.set_index(pd.Index(batch)))
    tables = {name: pd.concat(found).sort_index() for name, found in pieces.items()}
    line = str(design.formula).splitlines()[0].strip()
    return Calibration(line, design.family.name, draws, seed=seed, **tables)


def _prepared(
    formula: Any, data: Any, family: Any, prior: Any, functions: Any, contrasts: Any
) -> tuple[Any, Any]:
    from .bayes import prepare
    from .model.spec import outline
    from .priors.resolve import resolve

    design = prepare(formula, data, family, functions=functions, contrasts=contrasts)
    given = [
        name for name in NOT_SIMULATED if name in design.response.arrays() or name in design.response.extra
    ]
    if given:
        raise BayesmlmError(f"sbc() simulates no responses with {given[0].replace('_', ' ')}: leave that out")
    if np.isnan(design.response.values).any():
        raise BayesmlmError("sbc() simulates no missing responses: leave mi() out")
    return design, resolve(outline(design), prior, sample_prior="only")


def _specified(design: Any, priors: Any, how: Mapping[str, Any]) -> ModelSpec:
    from .model.spec import specify

    return specify(design, priors, **how)


def _with_response(spec: ModelSpec, y: NDArray[np.float64], how: Mapping[str, Any]) -> ModelSpec:
    design = spec.design
    design.family.check(y, design.response.extra)
    return _specified(replace(design, response=replace(design.response, values=y)), spec.priors, how)


def _simulated(spec: ModelSpec, n: int, seed: int) -> tuple[Values, NDArray[np.float64]]:
    """Parameters from the prior, each (n, ...), and a response for each, (n, rows) or (n, columns, rows)."""
    import jax
    import jax.numpy as jnp

    from .inference.compile_cache import compiled
    from .inference.x64 import x64

    structure, rows = spec.structure, spec.design.n

    def one(key: Any, data: Any) -> tuple[Any, Any]:
        keys = jax.random.split(jax.random.wrap_key_data(key), len(structure.sites) + 1)
        values, density = {}, jnp.zeros(())
        for own, (name, prior) in zip(keys[1:], structure.distributions(data).items(), strict=True):
            values[name] = prior.sample(own)
            if not name.startswith("z_"):
                density = density + jnp.sum(prior.log_prob(values[name]))
        everything = {**values, **structure.derived(values, data), **data["fixed"]}
        parameters = conditional.over_rows(structure.parameters(everything, data["design"]), (rows,))
        y = conditional.sample(structure.family, keys[0], parameters, data["design"]["extra"])
        return {**everything, "lprior": density}, y

    with x64():
        keys = np.asarray(jax.random.key_data(jax.random.split(jax.random.key(seed), n)))
        arguments = (keys, spec.data)
        program = compiled(
            lambda keys, data: jax.vmap(lambda key: one(key, data))(keys),
            arguments,
            name="sbc_simulate",
            key=structure.key,
        )
        values, y = program(*arguments)
    y = np.asarray(y, dtype=np.float64)
    values = {name: np.asarray(value) for name, value in values.items()}
    finite = [np.isfinite(a).reshape(n, -1).all(axis=1) for a in (y, *values.values())]
    bad = np.flatnonzero(~np.all(finite, axis=0))
    if bad.size:
        raise BayesmlmError(
            f"{bad.size} of {n} simulated data sets hold parameters or responses that are not finite: the prior has "
            "hardly any mass where the parameters may lie, or allows parameters for which the family has no finite "
            "response; give tighter priors"
        )
    return values, y


def _batches(specs: Sequence[ModelSpec]) -> list[list[int]]:
    """Numbers of data sets that are sampled together: those whose programs have one structure (group effects may be
    parameterised differently where the data say more), at most `TOGETHER`."""
    by_key: dict[str, list[int]] = {}
    for number, spec in enumerate(specs):
        by_key.setdefault(spec.program.key, []).append(number)
    return [same[i : i + TOGETHER] for same in by_key.values() for i in range(0, len(same), TOGETHER)]


def _sampled(specs: Sequence[ModelSpec], settings: Any, progress: bool) -> Draws:
    """Draws with one chain for each of ``specs``, exact draws of integrated effects among them."""
    from .inference.replicates import replicated
    from .inference.sample import sample
    from .results.integrated import integrated_effects

    program = replicated([spec.program for spec in specs]) if len(specs) > 1 else specs[0].program
    drawn = sample(program, settings, progress=progress)
    effects = []
    for chain, spec in enumerate(specs):
        own = slice(chain, chain + 1)
        part = replace(drawn, unconstrained=drawn.unconstrained[own], settings=replace(settings, seed=chain))
        effects.append(integrated_effects(spec, part))
    joined = {name: np.concatenate([each[name] for each in effects]) for name in effects[0]}
    return replace(drawn, samples={**drawn.samples, **joined})


def _ranked(
    specs: Sequence[ModelSpec], drawn: Draws, truths: Values, variables: Sequence[str] | None
) -> dict[str, pd.DataFrame]:
    """Ranks, true values and diagnostics of a batch, a row for each of ``specs``."""
    from .results.assemble import tree_from_sites
    from .results.convergence import convergence

    there = tree_from_sites(specs[0], drawn.samples, drawn.stats)
    true = tree_from_sites(specs[0], {name: value[:, None] for name, value in truths.items()}, {})
    if variables is None:
        chosen = [n for n, place in layout.flat_names(there).items() if place.kind != "r" and n != "lp__"]
    else:
        chosen = [name for name in variables if name != LOG_LIKELIHOOD]
    names, posterior = layout.draws_array(there, chosen)
    _, value = layout.draws_array(true, chosen)
    likelihood = _log_likelihoods(specs, drawn.samples, truths)
    posterior = np.concatenate([posterior, likelihood[0][None]])
    value = np.concatenate([value, likelihood[1][None, :, None]])
    columns = [*names, LOG_LIKELIHOOD]
    # A parameter that is fixed has no rank to speak of.
    moving = np.ptp(posterior.reshape(len(columns), -1), axis=1) > 0
    posterior, value = posterior[moving], value[moving]
    columns = [name for name, moves in zip(columns, moving, strict=True) if moves]
    below = (posterior < value).sum(axis=2)
    smallest = [convergence(posterior[:, [i]]).ess_bulk.min() for i in range(len(specs))]
    diagnostics = {"divergences": drawn.stats["diverging"].sum(axis=1), "smallest_ess": smallest}
    return {
        "ranks": pd.DataFrame(below.T, columns=columns),
        "truths": pd.DataFrame(value[:, :, 0].T, columns=columns),
        "diagnostics": pd.DataFrame(diagnostics),
    }


def _log_likelihoods(
    specs: Sequence[ModelSpec], samples: Mapping[str, NDArray], truths: Values
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Log-likelihood of each data set at its posterior draws, (data sets, draws), and at the truth, (data sets,)."""
    from .results.predict import BLOCK_ELEMENTS, over_draws

    structure = specs[0].structure
    names = [name for name in samples if name in truths]
    found = []

    def one(values: Any, design: Any, y: Any, fixed: Any) -> Any:
        return structure.log_likelihood({**values, **fixed}, design, y).sum()[None]

    for i, spec in enumerate(specs):
        # The truth comes first: one call, one compilation.
        draws = {name: np.concatenate([truths[name][i][None], samples[name][i]]) for name in names}
        shared = (spec.data["design"], spec.data["y"], spec.data["fixed"])
        block = max(1, BLOCK_ELEMENTS // spec.design.n)
        found.append(
            over_draws(one, draws, shared, block, name="sbc_log_likelihood", key=structure.key)[:, 0]
        )
    values = np.stack(found)
    return values[:, 1:], values[:, 0]
