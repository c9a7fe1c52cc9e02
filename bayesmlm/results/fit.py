"""A fitted Bayesian model: draws as an ArviZ DataTree, and everything that is read off them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..inference.approximation import Approximation
from ..inference.protocol import SamplerSettings, Timings
from . import accessors, categories, criteria, layout, tables
from .prediction_methods import PredictionMethods
from .summary import Summary, summarise

if TYPE_CHECKING:
    import xarray as xr

    from ..model.design import Design
    from ..model.spec import ModelSpec
    from .effects import ConditionalEffects
    from .hypothesis import Hypotheses

__all__ = ["BayesFit"]


@dataclass(frozen=True, repr=False, eq=False)
class BayesFit(PredictionMethods):
    """What `brm` returns. Frozen: nothing here changes after sampling.

    ``spec``: the model (printable); ``idata``: the DataTree (layout: docs/results.md); ``timings``: seconds for
    set-up, compilation, warm-up, draws and afterwards; ``call``: the arguments needed to fit it again.
    """

    spec: ModelSpec
    idata: xr.DataTree
    settings: SamplerSettings
    timings: Timings
    call: Mapping[str, Any]
    data_name: str = "data"
    complete: bool = True
    approximation: Approximation | None = None
    """How good the approximation is that the draws come from; None where they are the posterior's."""
    _cache: dict[Any, Any] = field(default_factory=dict)

    # ---- what it is -------------------------------------------------------------------------------------------
    @property
    def design(self) -> Design:
        """The design: coded response, model matrices, grouping codes."""
        return self.spec.design

    @property
    def formula(self) -> Any:
        """The model formula."""
        return self.design.formula

    @property
    def family(self) -> Any:
        """The response family with its links."""
        return self.design.family

    @property
    def integrated(self) -> tuple[str, ...]:
        """The group terms that were integrated out, as they are written: ``"x | g"``; the sampler did not move them."""
        blocks = self.spec.integration.blocks
        if not blocks:
            return ()
        mu = self.design.predictors["mu"]
        return tuple(
            g.term.label for g, slot in zip(mu.groups, mu.slots, strict=True) if slot.block in blocks
        )

    @property
    def data(self) -> pd.DataFrame:
        """The rows and columns that were used (complete cases)."""
        return self.design.frame.to_pandas()

    @property
    def model(self) -> Any:
        """The joint model as a NumPyro function of no required argument.

        Use it inside ``jax.enable_x64(True)``: the data are float64.
        """
        structure, default = self.spec.structure, self.spec.data

        def model(data: Any = default) -> None:
            structure.model(data)

        return model

    @property
    def model_code(self) -> str:
        """The model as readable NumPyro text (what ``stancode()`` is for in brms)."""
        from ..model.describe import model_code

        return model_code(self.spec)

    @property
    def nchains(self) -> int:
        """Number of chains."""
        return int(self.idata.posterior.sizes["chain"])

    @property
    def ndraws(self) -> int:
        """Number of post-warm-up draws, over all chains."""
        return int(self.idata.posterior.sizes["chain"] * self.idata.posterior.sizes["draw"])

    @property
    def nobs(self) -> int:
        """Number of rows used."""
        return self.design.n

    def get_y(self) -> NDArray[np.float64]:
        """(n,) response, as it was coded."""
        return self.design.response.values

    def ngrps(self) -> dict[str, int]:
        """Number of levels of each grouping factor."""
        return {block.group: len(block.levels) for block in self.design.blocks}

    def prior_summary(self, all: bool = True) -> pd.DataFrame:
        """The priors that were used, as brms's table; ``all=False`` leaves out rows without a prior of their own."""
        table = self.spec.priors.table.to_frame()
        return table if all else table[table["prior"] != ""].reset_index(drop=True)

    # ---- draws and tables -------------------------------------------------------------------------------------
    def as_draws_df(self, variables: Any = None, regex: bool = False) -> pd.DataFrame:
        """Draws under brms's flat names, one row a draw, with ``.chain``, ``.iteration`` and ``.draw``."""
        return layout.as_draws_df(self.idata, variables, regex)

    def variables(self) -> list[str]:
        """brms's flat names of all draws."""
        return list(layout.flat_names(self.idata))

    def as_draws_array(self, variables: Any = None, regex: bool = False) -> xr.DataArray:
        """Draws under brms's flat names, (chain, draw, variable)."""
        return accessors.as_draws_array(self.idata, variables, regex)

    def prior_draws(self, variable: Any = None) -> pd.DataFrame:
        """Draws from the prior, of fits with ``sample_prior`` "yes" or "only"; see `results.priors.prior_draws`."""
        from .priors import prior_draws

        return prior_draws(self, variable)

    def to_datatree(self, **kwargs: Any) -> xr.DataTree:
        """`idata` with ``log_likelihood`` and, if asked for, ``posterior_predictive``; see `results.accessors`."""
        return accessors.to_datatree(self, **kwargs)

    def posterior_summary(
        self, variables: Any = None, regex: bool = False, prob: float = 0.95, robust: bool = False
    ) -> pd.DataFrame:
        """Estimate, Est.Error, interval, Rhat and effective sample sizes, indexed by flat draw name."""
        return tables.posterior_summary(self.idata, variables, regex=regex, prob=prob, robust=robust)

    def posterior_interval(
        self, variables: Any = None, regex: bool = False, prob: float = 0.95
    ) -> pd.DataFrame:
        """Central intervals, indexed by flat draw name."""
        names, draws = layout.draws_array(self.idata, variables, regex)
        return accessors.interval_table(draws, names, prob)

    def rhat(self, variables: Any = None, regex: bool = False) -> pd.Series:
        """Rhat by flat draw name."""
        return self.posterior_summary(variables, regex)["Rhat"]

    def neff_ratio(self, variables: Any = None, regex: bool = False) -> pd.Series:
        """The smaller of bulk and tail effective sample size, divided by the number of draws."""
        table = self.posterior_summary(variables, regex)
        return table[["Bulk_ESS", "Tail_ESS"]].min(axis=1) / self.ndraws

    def vcov(self, correlation: bool = False) -> pd.DataFrame:
        """Posterior covariances (or correlations) of the population-level effects."""
        return accessors.vcov(self.idata, correlation)

    def hypothesis(self, hypothesis: Any, **kwargs: Any) -> Hypotheses:
        """Test ``"x > 0"``, ``"a = b"`` ...; arguments: see `results.hypothesis.hypothesis`."""
        from .hypothesis import hypothesis as test

        return test(self, hypothesis, **kwargs)

    def fixef(self, summary: bool = True, prob: float = 0.95, robust: bool = False) -> Any:
        """Population-level effects."""
        return tables.fixef(self.idata, summary=summary, prob=prob, robust=robust)

    def ranef(self, summary: bool = True, prob: float = 0.95, robust: bool = False) -> Any:
        """Group-level effects: group, level, coef, Estimate, Est.Error, interval."""
        return tables.ranef(self.idata, summary=summary, prob=prob, robust=robust)

    def coef(self, summary: bool = True, prob: float = 0.95, robust: bool = False) -> Any:
        """Coefficients of each group level: population plus group effects.

        Thresholds of ordinal families, ``Intercept[k]``, less the group's effect, or of families in which the linear
        predictor comes first (cratio, acat) the other way round, as in brms.
        """
        flipped = self.family.name not in categories.THRESHOLDS_FIRST
        return tables.coef(
            self.idata, summary=summary, prob=prob, robust=robust, thresholds=-1 if flipped else 1
        )

    def VarCorr(self, summary: bool = True, prob: float = 0.95, robust: bool = False) -> Any:  # noqa: N802
        """Standard deviations, correlations and covariances of group effects, and the residual's."""
        return tables.VarCorr(self.idata, summary=summary, prob=prob, robust=robust)

    def summary(
        self, prob: float = 0.95, robust: bool = False, mc_se: bool = False, priors: bool = False
    ) -> Summary:
        """brms's summary: prints as text, shows as HTML in a notebook, ``.fixed``, ``.random``, ``.spec_pars``."""
        return summarise(self, prob=prob, robust=robust, mc_se=mc_se, priors=priors)

    def __repr__(self) -> str:
        return str(self.summary())

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()

    def nuts_params(self) -> pd.DataFrame:
        """Sampler diagnostics, long: Chain, Iteration, Parameter (brms's names), Value."""
        return layout.nuts_params(self.idata)

    def log_posterior(self) -> pd.DataFrame:
        """``lp__`` of each draw: Chain, Iteration, Value."""
        return accessors.log_posterior(self.idata)

    def control_params(self) -> dict[str, float]:
        """``adapt_delta`` and ``max_treedepth``."""
        return {"adapt_delta": self.settings.adapt_delta, "max_treedepth": self.settings.max_treedepth}

    # ---- model criteria ---------------------------------------------------------------------------------------
    def loo(self, **kwargs: Any) -> Any:
        """PSIS-LOO (ArviZ): elpd_loo, p_loo, looic and Pareto k; conditional on the group effects, as brms.

        ``moment_match=True`` improves observations whose Pareto k exceeds ``k_threshold``; see `results.criteria.loo`.
        """
        key = ("loo", tuple(sorted(kwargs.items())))
        if key not in self._cache:
            self._cache[key] = criteria.loo(self, **kwargs)
        return self._cache[key]

    def waic(self) -> Any:
        """WAIC: elpd_waic, p_waic, waic, with pointwise values."""
        if "waic" not in self._cache:
            self._cache["waic"] = criteria.waic(self)
        return self._cache["waic"]

    def bayes_R2(self, summary: bool = True, prob: float = 0.95, robust: bool = False, **kwargs: Any) -> Any:  # noqa: N802
        """Bayesian R2, residual-based as in brms 2.18: var(mu) / (var(mu) + var(y - mu)) for each draw.

        Ordered categories count as numbers, with a warning; of others there is no R2.
        """
        epred = categories.in_numbers("bayes_R2", self.family, self.posterior_epred(**kwargs))
        observed = self.design.response.observed
        y, epred = self.design.response.values[..., observed], epred[:, observed]
        return criteria.bayes_R2(y, epred, summary=summary, prob=prob, robust=robust)

    def loo_R2(self, **kwargs: Any) -> Any:  # noqa: N802
        """R2 of leave-one-out predictions; see `results.r_squared.loo_R2`."""
        return criteria.loo_R2(self, **kwargs)

    # ---- effects and pictures ---------------------------------------------------------------------------------
    def conditional_effects(self, effects: Any = None, **kwargs: Any) -> ConditionalEffects:
        """Effects of predictors, others held at brms's default values; see `results.effects.conditional_effects`."""
        from .effects import conditional_effects

        return conditional_effects(self, effects, **kwargs)

    def plot(self, variables: Any = None, **kwargs: Any) -> Any:
        """Marginal posterior and trace of each parameter, in pages of five; see `plots.trace.plot_trace`."""
        from ..plots.trace import plot_trace

        return plot_trace(self, variables, **kwargs)

    def rank_plot(self, variables: Any = None, **kwargs: Any) -> Any:
        """Histograms of ranks by chain: uniform when the chains have mixed."""
        from ..plots.trace import plot_rank

        return plot_rank(self, variables, **kwargs)

    def pairs(self, variables: Any = None, **kwargs: Any) -> Any:
        """Draws of every two parameters, divergent transitions marked."""
        from ..plots.pairs import plot_pairs

        return plot_pairs(self, variables, **kwargs)

    def forest(self, variables: Any = None, **kwargs: Any) -> Any:
        """Intervals of parameters side by side; ``"r_<group>"`` for the levels of a group."""
        from ..plots.forest import plot_forest

        return plot_forest(self, variables, **kwargs)

    def pp_check(self, type: str = "dens_overlay", ndraws: int | None = None, **kwargs: Any) -> Any:
        """Compare the data with responses drawn from the model; kinds as in brms (docs/plots.md)."""
        from ..plots.ppc import pp_check

        return pp_check(self, type, ndraws, **kwargs)

    # ---- again ------------------------------------------------------------------------------------------------
    def save(self, path: Any) -> None:
        """Write the fit to one netCDF file, atomically; `bayesmlm.load` reads it back."""
        from ..io import save

        save(self, path)

    def update(self, formula: Any = None, newdata: Any = None, **kwargs: Any) -> BayesFit:
        """Fit again with other data, another formula (``". ~ . + x"`` allowed) or other arguments of `brm`."""
        from ..bayes import update

        return update(self, formula, newdata, **kwargs)

    # ---- for the rooms that compute on draws ------------------------------------------------------------------
    @cached_property
    def _sites(self) -> dict[str, NDArray]:
        from .assemble import tree_to_sites

        return tree_to_sites(self.idata, self.spec)

    def site_values(self, draws: NDArray[np.int64]) -> dict[str, NDArray]:
        """Parameters by program name (``b``, ``Intercept``, ``r_<site>`` ...), each (len(draws), ...)."""
        fixed = {name: np.full(len(draws), value) for name, value in self.design.fixed.items()}
        if len(draws) == self.ndraws and (draws == np.arange(self.ndraws)).all():
            return {**self._sites, **fixed}
        return {**{name: value[draws] for name, value in self._sites.items()}, **fixed}
