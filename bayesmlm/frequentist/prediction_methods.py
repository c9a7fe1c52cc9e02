"""Prediction and simulation from a fit: methods of `MixedFit`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from .fit import MixedFit

__all__ = ["PredictionMethods"]


class PredictionMethods:
    """Prediction and simulation from a fit."""

    def predict(  # type: ignore[misc]
        self: MixedFit,
        newdata: Any = None,
        re_formula: Any = None,
        se: bool = False,
        interval: str | None = None,
        level: float = 0.95,
        allow_new_levels: bool = False,
        random_only: bool = False,
        na_action: str = "pass",
    ) -> Any:
        """Expected responses for the rows of the fit or of new data, offsets included.

        Args:
            newdata: a table with the columns of the formula's right side; None: the rows of the fit.
            re_formula: group effects that take part (lme4's ``re.form``): None for all, ``"NA"`` or ``"~0"`` for none
                (the population's mean), or some of the model's, ``"~ (1 | g)"``.
            se: also the standard error of each prediction given the covariance parameters, from the joint covariance
                of coefficients and effects (lme4's ``se.fit``).
            interval: "confidence" for the expected response, estimate -/+ normal quantile x standard error, or
                "prediction" for a new observation: it adds the residual variance (divided by the weights of the fit,
                1 for new data) and the variance of all effects that are not predicted, because ``re_formula`` leaves
                them out or the level is new.
            level: probability of the interval.
            allow_new_levels: whether levels that the fit did not have, or a missing grouping variable, are predicted
                by the population's mean; else they are an error.
            random_only: the group effects alone, without coefficients and offset.
            na_action: rows of new data with missing values: "pass" (NaN), "omit" or "fail".

        Returns:
            (n,) array; with ``se`` or ``interval`` a data frame with columns fit, lwr, upr, se.fit.

        Raises:
            NewDataError: for an unseen level, a missing column or value; FormulaError: for effects that the model
                does not have.
        """
        from .predict import predict

        return predict(
            self,
            newdata,
            re_formula=re_formula,
            se=se,
            interval=interval,
            level=level,
            allow_new_levels=allow_new_levels,
            random_only=random_only,
            na_action=na_action,
        )

    def simulate(  # type: ignore[misc]
        self: MixedFit,
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
                from their distribution; where estimates are asked for, only with ``allow_new_levels``.
            newparams: instead of the estimates: any of ``beta`` (p values, or a Series or dict by name), ``theta`` (as
                ``m.parameters``; for unstructured and diagonal covariances lme4's theta) and ``sigma``.

        Returns:
            (n, nsim) data frame. The residual variance of a row is sigma^2 / weight (weights 1 for new data); lme4
            1.1-31 leaves the weights out.
        """
        from .simulate import simulate_fit

        return simulate_fit(
            self,
            nsim,
            seed=seed,
            re_formula=None if use_u else re_formula,
            newdata=newdata,
            newparams=newparams,
            allow_new_levels=allow_new_levels,
        )
