"""A fitted Bayesian model: draws as an ArviZ DataTree, and everything that is read off them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import BayesmlmError
from ..inference.approximation import Approximation
from ..inference.protocol import SamplerSettings, Timings
from . import accessors, categories, criteria, layout, tables
from .predict import Request, predict
from .summary import Summary, summarise

if TYPE_CHECKING:
    import xarray as xr

    from ..model.design import Design
    from ..model.spec import ModelSpec
    from .effects import ConditionalEffects
    from .hypothesis import Hypotheses
    from .survival import SurvivalCurve

__all__ = ["BayesFit"]


@dataclass(frozen=True, repr=False, eq=False)
class BayesFit:
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

    # ---- predictions ------------------------------------------------------------------------------------------
    def posterior_linpred(
        self, newdata: Any = None, *, transform: bool = False, incl_thres: bool = False, **kwargs: Any
    ) -> NDArray[np.float64]:
        """(draws, rows) linear predictor on the link scale; ``transform=True`` applies the inverse link.

        ``incl_thres``: of ordinal families (draws, rows, thresholds), disc times the differences of thresholds and
        linear predictor, with the sign that the family gives them.
        Further arguments as in `posterior_epred`.
        """
        kind = "parameter" if transform else "linear_predictor"
        if incl_thres and categories.is_ordinal(self.family) and not (transform or kwargs.get("dpar")):
            kind = categories.with_thresholds(self.family)
        return predict(self, kind, Request.of("posterior_linpred", newdata, kwargs))

    def posterior_epred(self, newdata: Any = None, **kwargs: Any) -> NDArray[np.float64]:
        """(draws, rows) expected response, on the response scale.

        ``re_formula``: None for all group effects, "NA" for none, or a formula naming some; ``allow_new_levels``
        with ``sample_new_levels`` ("uncertainty", "gaussian", "old_levels"); ``ndraws`` or ``draw_ids``;
        ``dpar``: draws of that distributional parameter instead; ``seed``.
        """
        request = Request.of("posterior_epred", newdata, kwargs)
        return predict(self, "mean" if request.dpar is None else "parameter", request)

    def posterior_predict(
        self,
        newdata: Any = None,
        *,
        output: str = "random",
        q: Any = None,
        p: Any = None,
        log: bool = False,
        lower_tail: bool = True,
        **kwargs: Any,
    ) -> NDArray[np.float64]:
        """(draws, rows) responses drawn from the model; further arguments as in `posterior_epred`.

        ``output`` asks for something else of the response's distribution given each draw: "probability", P(Y <= q), or
        above q with ``lower_tail=False``; "density" at q; "quantile" of the probability p; "pit", the probability
        integral transform of the observed response, randomised where the distribution has steps or the response is
        censored. ``q`` is the observed response unless given, a number or one for each row; ``log``: probabilities
        and densities are logarithms. A truncated response keeps to its bounds; censoring matters to "pit" alone.
        """
        from .predictive_output import predictive_output

        return predictive_output(
            self, newdata, output, q=q, p=p, log=log, lower_tail=lower_tail, arguments=kwargs
        )

    def log_lik(self, newdata: Any = None, **kwargs: Any) -> NDArray[np.float64]:
        """(draws, rows) log-likelihood, weights included as in brms."""
        return predict(self, "log_likelihood", Request.of("log_lik", newdata, kwargs))

    def pp_mixture(self, newdata: Any = None, **kwargs: Any) -> Any:
        """Probabilities that responses come from each component of a mixture; see `results.mixtures.pp_mixture`."""
        from .mixtures import pp_mixture

        return pp_mixture(self, newdata, **kwargs)

    def fitted(
        self, newdata: Any = None, *, prob: float = 0.95, robust: bool = False, **kwargs: Any
    ) -> pd.DataFrame:
        """Summary of `posterior_epred` for each row; of categories with columns for each, ``P(Y = a)``."""
        draws = self.posterior_epred(newdata, **kwargs)
        if draws.ndim == 3:
            names = categories.category_names(self.family, draws.shape[2])
            return categories.category_table(names, draws, prob=prob, robust=robust)
        return tables.summarise_columns(draws, prob=prob, robust=robust)

    def predict(
        self, newdata: Any = None, *, prob: float = 0.95, robust: bool = False, **kwargs: Any
    ) -> pd.DataFrame:
        """Summary of `posterior_predict` for each row; of categories how often each is drawn, ``P(Y = a)``."""
        draws = self.posterior_predict(newdata, **kwargs)
        if draws.ndim == 3:
            return categories.category_table(self.family.categories, draws, prob=prob, robust=robust)
        if self.family.categories and kwargs.get("output", "random") == "random":
            return categories.category_frequencies(self.family, draws)
        return tables.summarise_columns(draws, prob=prob, robust=robust)

    def residuals(
        self,
        *,
        method: str = "posterior_epred",
        type: str = "ordinary",
        prob: float = 0.95,
        robust: bool = False,
        **kwargs: Any,
    ) -> pd.DataFrame:
        """Summary of y minus expected (or, ``method="posterior_predict"``, drawn) response for each row.

        ``type="pearson"`` divides by the response's standard deviation given the parameters' posterior draws;
        ``type="quantile"``: randomised quantile residuals, standard normal if the model is right, of discrete, censored
        and truncated responses too (``method`` does not matter).
        """
        if type not in ("ordinary", "pearson", "quantile"):
            raise BayesmlmError(f'type must be "ordinary", "pearson" or "quantile", not {type!r}')
        if type == "quantile":
            from .predictive_output import quantile_residuals

            return tables.summarise_columns(quantile_residuals(self, kwargs), prob=prob, robust=robust)
        if method not in ("posterior_epred", "posterior_predict"):
            raise BayesmlmError(f'method must be "posterior_epred" or "posterior_predict", not {method!r}')
        categories.refuse_errors(self.family)
        error = self.design.response.values - getattr(self, method)(**kwargs)
        if type == "pearson":
            error = error / self.posterior_predict(**kwargs).std(axis=0)
        return tables.summarise_columns(error, prob=prob, robust=robust)

    def predictive_error(self, **kwargs: Any) -> NDArray[np.float64]:
        """(draws, rows) y minus a drawn response. Raises `BayesmlmError` where responses are categories."""
        categories.refuse_errors(self.family)
        return self.design.response.values - self.posterior_predict(**kwargs)

    def predictive_interval(self, prob: float = 0.9, **kwargs: Any) -> pd.DataFrame:
        """Central intervals of drawn responses, one row for each row of data; columns by category where the response
        has a column for each."""
        draws = self.posterior_predict(**kwargs)
        rows = range(draws.shape[1])
        if draws.ndim == 2:
            return accessors.interval_table(draws.T, rows, prob)
        columns = zip(self.family.categories, np.moveaxis(draws, 2, 0), strict=True)
        return pd.concat({name: accessors.interval_table(c.T, rows, prob) for name, c in columns}, axis=1)

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

    def survival_curve(self, newdata: Any = None, times: Any = None, **kwargs: Any) -> SurvivalCurve:
        """P(T > t) over time: the rows' average, of each level of ``group``, or of each row of ``newdata``.

        Arguments: see `results.survival.survival_curve`. ``.plot()`` shows the data's Kaplan-Meier curve beside it.
        """
        from .survival import survival_curve

        return survival_curve(self, newdata, times, **kwargs)

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
