"""Predictions from a Bayesian fit, and what they say of its responses: methods of `BayesFit`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import BayesmlmError
from . import accessors, categories, tables
from .predict import Request, predict

if TYPE_CHECKING:
    from .fit import BayesFit
    from .survival import SurvivalCurve

__all__ = ["PredictionMethods"]


class PredictionMethods:
    """Predictions of responses, their means, and their distributions."""

    def posterior_linpred(  # type: ignore[misc]
        self: BayesFit,
        newdata: Any = None,
        *,
        transform: bool = False,
        incl_thres: bool = False,
        **kwargs: Any,
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

    def posterior_epred(self: BayesFit, newdata: Any = None, **kwargs: Any) -> NDArray[np.float64]:  # type: ignore[misc]
        """(draws, rows) expected response, on the response scale.

        ``re_formula``: None for all group effects, "NA" for none, or a formula naming some; ``allow_new_levels``
        with ``sample_new_levels`` ("uncertainty", "gaussian", "old_levels"); ``ndraws`` or ``draw_ids``;
        ``dpar``: draws of that distributional parameter instead; ``seed``.
        """
        request = Request.of("posterior_epred", newdata, kwargs)
        return predict(self, "mean" if request.dpar is None else "parameter", request)

    def posterior_predict(  # type: ignore[misc]
        self: BayesFit,
        newdata: Any = None,
        *,
        output: str = "random",
        q: Any = None,
        p: Any = None,
        log: bool = False,
        lower_tail: bool = True,
        negative_rt: bool = False,
        **kwargs: Any,
    ) -> NDArray[np.float64]:
        """(draws, rows) responses drawn from the model; further arguments as in `posterior_epred`.

        ``output`` asks for something else of the response's distribution given each draw: "probability", P(Y <= q), or
        above q with ``lower_tail=False``; "density" at q; "quantile" of the probability p; "pit", the probability
        integral transform of the observed response, randomised where the distribution has steps or the response is
        censored. ``negative_rt``: response times of the family wiener are negative when the lower boundary is reached.
        ``q`` is the observed response unless given, a number or one for each row; ``log``: probabilities
        and densities are logarithms. A truncated response keeps to its bounds; censoring matters to "pit" alone.
        """
        from .predictive_output import predictive_output

        return predictive_output(
            self,
            newdata,
            output,
            q=q,
            p=p,
            log=log,
            lower_tail=lower_tail,
            negative_rt=negative_rt,
            arguments=kwargs,
        )

    def log_lik(self: BayesFit, newdata: Any = None, **kwargs: Any) -> NDArray[np.float64]:  # type: ignore[misc]
        """(draws, rows) log-likelihood, weights included as in brms."""
        return predict(self, "log_likelihood", Request.of("log_lik", newdata, kwargs))

    def pp_mixture(self: BayesFit, newdata: Any = None, **kwargs: Any) -> Any:  # type: ignore[misc]
        """Probabilities that responses come from each component of a mixture; see `results.mixtures.pp_mixture`."""
        from .mixtures import pp_mixture

        return pp_mixture(self, newdata, **kwargs)

    def fitted(  # type: ignore[misc]
        self: BayesFit, newdata: Any = None, *, prob: float = 0.95, robust: bool = False, **kwargs: Any
    ) -> pd.DataFrame:
        """Summary of `posterior_epred` for each row; of categories with columns for each, ``P(Y = a)``."""
        draws = self.posterior_epred(newdata, **kwargs)
        if draws.ndim == 3:
            names = categories.category_names(self.family, draws.shape[2])
            return categories.category_table(names, draws, prob=prob, robust=robust)
        return tables.summarise_columns(draws, prob=prob, robust=robust)

    def predict(  # type: ignore[misc]
        self: BayesFit, newdata: Any = None, *, prob: float = 0.95, robust: bool = False, **kwargs: Any
    ) -> pd.DataFrame:
        """Summary of `posterior_predict` for each row; of categories how often each is drawn, ``P(Y = a)``."""
        draws = self.posterior_predict(newdata, **kwargs)
        if draws.ndim == 3:
            return categories.category_table(self.family.categories, draws, prob=prob, robust=robust)
        if self.family.categories and kwargs.get("output", "random") == "random":
            return categories.category_frequencies(self.family, draws)
        return tables.summarise_columns(draws, prob=prob, robust=robust)

    def residuals(  # type: ignore[misc]
        self: BayesFit,
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

    def predictive_error(self: BayesFit, **kwargs: Any) -> NDArray[np.float64]:  # type: ignore[misc]
        """(draws, rows) y minus a drawn response. Raises `BayesmlmError` where responses are categories."""
        categories.refuse_errors(self.family)
        return self.design.response.values - self.posterior_predict(**kwargs)

    def predictive_interval(self: BayesFit, prob: float = 0.9, **kwargs: Any) -> pd.DataFrame:  # type: ignore[misc]
        """Central intervals of drawn responses, one row for each row of data; columns by category where the response
        has a column for each."""
        draws = self.posterior_predict(**kwargs)
        rows = range(draws.shape[1])
        if draws.ndim == 2:
            return accessors.interval_table(draws.T, rows, prob)
        columns = zip(self.family.categories, np.moveaxis(draws, 2, 0), strict=True)
        return pd.concat({name: accessors.interval_table(c.T, rows, prob) for name, c in columns}, axis=1)

    def survival_curve(  # type: ignore[misc]
        self: BayesFit, newdata: Any = None, times: Any = None, **kwargs: Any
    ) -> SurvivalCurve:
        """P(T > t) over time: the rows' average, of each level of ``group``, or of each row of ``newdata``.

        Arguments: see `results.survival.survival_curve`. ``.plot()`` shows the data's Kaplan-Meier curve beside it.
        """
        from .survival import survival_curve

        return survival_curve(self, newdata, times, **kwargs)
