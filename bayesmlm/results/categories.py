"""Predictions of responses that are categories: tables with a column for each, and ordered ones as numbers."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BayesmlmError, BayesmlmWarning
from ..families.ordinal_response import first_category
from .tables import estimate_columns, quantile_levels, summarise_draws

if TYPE_CHECKING:
    import pandas as pd

    from ..families.base import Family

__all__ = [
    "category_frequencies",
    "category_table",
    "expected_category",
    "in_numbers",
    "is_ordinal",
    "is_unordered",
    "refuse_errors",
    "warn_of_numbers",
    "with_thresholds",
]

Floats = NDArray[np.float64]

THRESHOLDS_FIRST = frozenset({"cumulative", "sratio", "hurdle_cumulative"})
"""Families in whose distribution functions the linear predictor is taken from the thresholds; in others it is the other
way round."""


def is_ordinal(family: Family) -> bool:
    """Whether the response is an ordered category."""
    return family.response == "ordinal"


def is_unordered(family: Family) -> bool:
    """Whether the response is a category without order, or counts or shares of such."""
    return bool(family.categories) and not is_ordinal(family)


def refuse_errors(family: Family) -> None:
    """Raise `BayesmlmError` for differences of categories, which mean nothing (brms refuses them too)."""
    if family.categories:
        instead = ', or residuals(type="quantile")' if is_ordinal(family) else ""
        raise BayesmlmError(
            f"predictive errors are not defined for the family `{family.name}`, whose response is a category: look at "
            f'pp_check("bars") or pp_check("bars_grouped"){instead}'
        )


def warn_of_numbers(what: str, family: Family, instead: str = "") -> None:
    """Warn, as brms, that categories are taken for numbers; an error where they have no order."""
    if is_unordered(family):
        raise BayesmlmError(f"{what} is not defined for categories without order{instead}")
    if is_ordinal(family):
        warnings.warn(
            f"{what} takes the categories for numbers, which is likely wrong for ordinal families{instead}",
            BayesmlmWarning,
            stacklevel=4,
        )


def expected_category(family: Family, epred: Floats) -> Floats:
    """(draws, rows) expected number of the category, from probabilities (draws, rows, categories)."""
    return epred @ np.arange(
        first_category(family), first_category(family) + epred.shape[2], dtype=np.float64
    )


def in_numbers(what: str, family: Family, epred: Floats) -> Floats:
    """(draws, rows): ``epred`` itself where the response is a number, else that of the number of the category, with a
    warning. Raises `BayesmlmError` for categories without order."""
    warn_of_numbers(what, family)
    return expected_category(family, epred) if epred.ndim == 3 else epred


def with_thresholds(family: Family) -> str:
    """The kind of prediction that gives linear predictors with thresholds. Raises `BayesmlmError` for mixtures."""
    if family.thresholds != ("mu",):
        raise BayesmlmError("incl_thres is not there for mixtures")
    return "thresholds_less_predictor" if family.name in THRESHOLDS_FIRST else "predictor_less_thresholds"


def category_names(family: Family, count: int) -> list[str]:
    """brms's names of columns for categories: ``P(Y = a)``."""
    names = family.categories if len(family.categories) == count else [str(k + 1) for k in range(count)]
    return [f"P(Y = {name})" for name in names]


def category_table(
    names: Sequence[str], draws: Floats, *, prob: float = 0.95, robust: bool = False
) -> pd.DataFrame:
    """Summary of draws (draw, row, category): a row for each row of data; columns are pairs of a category's name and
    Estimate, Est.Error or a quantile."""
    import pandas as pd

    quantiles = quantile_levels(prob)
    tables = [
        summarise_draws(np.ascontiguousarray(each.T), quantiles, robust) for each in np.moveaxis(draws, 2, 0)
    ]
    columns = pd.MultiIndex.from_product([list(names), estimate_columns(quantiles)])
    return pd.DataFrame(np.concatenate(tables, axis=1), columns=columns)


def category_frequencies(family: Family, draws: Floats) -> pd.DataFrame:
    """How often each category is drawn, by row of the data: brms's ``posterior_table``. ``draws``: (draw, row)."""
    import pandas as pd

    first = first_category(family)
    codes: list[Any] = [(draws == first + k).mean(axis=0) for k in range(len(family.categories))]
    return pd.DataFrame(np.stack(codes, axis=1), columns=category_names(family, len(codes)))
