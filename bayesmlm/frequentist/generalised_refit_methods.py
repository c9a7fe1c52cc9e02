"""The same generalised model again, and whether its optimum is one: methods of `GeneralisedFit`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .all_fit import AllFit, Convergence
    from .generalised_fit import GeneralisedFit

__all__ = ["GeneralisedRefitMethods"]


class GeneralisedRefitMethods:
    """The same model again, and whether its optimum is one."""

    def refit(self: GeneralisedFit, y: Any) -> GeneralisedFit:  # type: ignore[misc]
        """The same model for another response on the rows used; the search begins where this fit ended.

        ``y``: (n,) what the family's density takes, for a binary response also the names of its two values; of trials
        the numbers of successes out of the same trials, or (n, 2) successes and failures, whose sums are the trials
        then (lme4's ``refit``). ``messages`` of the result say if it is singular or has not converged; nothing is said
        aloud. Raises `DataError` for a response outside the family's support or without variation, and
        `BayesmlmError` where its likelihood cannot be computed.
        """
        from .generalised_refit import refit

        return refit(self, y)

    def all_fit(  # type: ignore[misc]
        self: GeneralisedFit, optimizers: Sequence[str] | None = None, from_optimum: bool = False
    ) -> AllFit:
        """Fit the model with several optimisers and compare where they end (lme4's ``allFit``).

        ``optimizers``: some of "L-BFGS-B", "Nelder-Mead", "Powell", "COBYQA", "trust-constr", "SLSQP", "TNC"
        (default: all), over covariance parameters and coefficients; ``from_optimum``: start where this fit ended
        instead of at unit standard deviations and the coefficients of a model without group effects. Raises
        `BayesmlmError` for an unknown name.
        """
        from .generalised_all_fit import all_fit

        return all_fit(self, optimizers, from_optimum)

    def convergence(self: GeneralisedFit) -> Convergence:  # type: ignore[misc]
        """lme4's checks of an optimum: gradient and Hessian of the criterion by all parameters, in numbers and in
        words."""
        from .generalised_convergence import check_generalised_convergence

        return check_generalised_convergence(self)
