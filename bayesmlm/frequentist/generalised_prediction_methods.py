"""Prediction and simulation from a generalised mixed model: methods of `GeneralisedFit`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from .generalised_fit import GeneralisedFit
    from .generalised_prediction_variance import Directions

__all__ = ["GeneralisedPredictionMethods"]


class GeneralisedPredictionMethods:
    """Prediction and simulation from a fit."""

    @cached_property
    def directions(self: GeneralisedFit) -> Directions:  # type: ignore[misc]
        """How coefficients and effects move with all parameters along the metric of `curvature`."""
        from .generalised_prediction_variance import moves_along

        return moves_along(self, self.curvature.metric)

    def predict(  # type: ignore[misc]
        self: GeneralisedFit,
        newdata: Any = None,
        re_formula: Any = None,
        type: str = "link",
        se: bool = False,
        interval: str | None = None,
        level: float = 0.95,
        allow_new_levels: bool = False,
        random_only: bool = False,
        na_action: str = "pass",
        use_hessian: bool | None = None,
    ) -> Any:
        """Predictions for the rows of the fit or of new data, offsets included.

        Args:
            newdata: a table with the columns that what is predicted needs; None: the rows of the fit.
            re_formula: group effects that take part (lme4's ``re.form``): None for all, ``"NA"`` or ``"~0"`` for none
                (at effects of zero, which on the response scale is not the population's mean), or some of the model's,
                ``"~ (1 | g)"``, in every linear predictor that has them.
            type: "link", the linear predictor of mu (lme4's default); "response", the expected response: of trials the
                expected proportion, with zero inflation included; "conditional": without the zeros of another kind
                (zi; of a hurdle model the mean of responses above zero); "zprob", "zlink": the probability of such
                zeros, and its linear predictor; "disp": the dispersion parameter (sigma, shape or phi). All are
                glmmTMB's, but that its "disp" is the standard deviation over the mean for Gamma, where ours is the
                shape.
            se: also standard errors, from the joint covariance of coefficients and effects (see ``use_hessian``), by
                the delta method for other types than "link". New levels add nothing: they are predicted at zero.
            interval: "confidence": estimate -/+ normal quantile x standard error on the link's scale, transformed; for
                a mean of several parameters (zero inflation, hurdle, lognormal) on the log scale, of trials logit.
            level: probability of the interval.
            allow_new_levels: whether levels that the fit did not have, or a missing grouping variable, are predicted at
                effects of zero; else they are an error.
            random_only: the group effects of mu alone, without coefficients and offset.
            na_action: rows of new data with missing values: "pass" (NaN), "omit" or "fail".
            use_hessian: where standard errors come from, as in `vcov`. True: the second derivatives of the log
                likelihood by all parameters, so that the uncertainty of the covariance parameters counts, in the
                effects too (glmmTMB's ``se.fit``); False: the joint distribution of coefficients and effects at fixed
                covariance parameters (lme4's from 1.1-35 on); None: the first, the second where there is no Hessian.

        Returns:
            (n,) array; with ``se`` or ``interval`` a data frame with columns fit, lwr, upr, se.fit.

        Raises:
            NewDataError: for an unseen level, a missing column or value; FormulaError: for effects that the model
                does not have; BayesmlmError: for a type that the family does not have.
        """
        from .generalised_predict import predict

        return predict(
            self,
            newdata,
            re_formula=re_formula,
            type=type,
            se=se,
            interval=interval,
            level=level,
            allow_new_levels=allow_new_levels,
            random_only=random_only,
            na_action=na_action,
            use_hessian=use_hessian,
        )

    def simulate(  # type: ignore[misc]
        self: GeneralisedFit,
        nsim: int = 1,
        seed: int | None = None,
        use_u: bool = False,
        re_formula: Any = "NA",
        newdata: Any = None,
        newparams: Mapping[str, Any] | None = None,
        allow_new_levels: bool = False,
    ) -> pd.DataFrame:
        """Responses drawn from the model: columns ``sim_1``, ``sim_2``, ...

        Args:
            nsim: how many.
            seed: makes them repeatable; simulation i is the same whatever ``nsim`` is.
            use_u: keep the estimated effects of all groups (``re_formula=None``).
            re_formula: effects that are kept at their estimates, as in `predict`; all others are drawn anew in each
                simulation. ``"NA"``: all are drawn.
            newdata: rows to simulate for; None: those of the fit. Levels that the fit did not have get effects drawn
                from their distribution; where estimates are asked for, only with ``allow_new_levels``. Successes are
                drawn out of the trials that the new data say.
            newparams: instead of the estimates: ``beta`` (of mu: values, or a Series or dict by name), ``theta`` (as
                ``m.parameters``), ``sigma`` (where the dispersion is plugged in), and by the name of another part its
                constant on its own scale (``shape``, ``zi``, ...) or, if it has a formula, its coefficients.

        Returns:
            (n, nsim) data frame: of responses out of trials the number of successes, of two values 0 and 1. Prior
            weights divide the dispersion of lme4's Gamma and inverse Gaussian; those of other families are a message.

        Raises:
            NewDataError, FormulaError as `predict`; BayesmlmError for parameters that are none of the model's;
            FamilyError for ones with which no response can be drawn.
        """
        from .generalised_simulate import simulate_fit

        return simulate_fit(
            self,
            nsim,
            seed=seed,
            re_formula=None if use_u else re_formula,
            newdata=newdata,
            newparams=newparams,
            allow_new_levels=allow_new_levels,
        )
