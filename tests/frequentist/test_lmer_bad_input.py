"""What cannot be fitted, or only half, is said in words: never NaN, never another library's traceback."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayesmlm as bm
from bayesmlm.errors import BayesmlmError, BayesmlmWarning, ConvergenceWarning, DataError, FormulaError

N = 60
RNG = np.random.default_rng(1)
X = RNG.normal(size=N)
GROUP = np.repeat(np.arange(10), 6)
EFFECT = RNG.normal(size=10)
Y = EFFECT[GROUP] + RNG.normal(size=N)


def put(values: np.ndarray, row: int, value: float) -> np.ndarray:
    out = values.copy()
    out[row] = value
    return out


DATA = pd.DataFrame(
    {
        "y": Y,
        "x": X,
        "g": [f"g{i}" for i in GROUP],
        "h": [f"h{i % 6}" for i in range(N)],
        "f": list("abc") * 20,
        "one": "A",
        "row": [f"r{i}" for i in range(N)],
        "pair": [f"p{min(i, N - 2)}" for i in range(N)],
        "constant": 3.0,
        "zero": 0.0,
        "twice": 2.0 * X,
        "exact": 1.0 + 2.0 * X,
        "by_group": EFFECT[GROUP],
        "both": EFFECT[GROUP] + 2.0 * X,
        "infinite": put(X, 4, np.inf),
        "missing": np.nan,
        "weightless": put(np.ones(N), 3, 0.0),
        "negative": put(np.ones(N), 3, -1.0),
        "big": 1e8 * X,
        "tiny": 1e-8 * X,
        "overflow": 1e200 * X,
        "shifted": Y + 1e10,
    }
)

REFUSED: list[tuple[str, dict[str, Any], type[BayesmlmError], str]] = [
    ("y ~ x + (1 | one)", {}, DataError, "must have > 1 sampled level; `one` has 1"),
    ("y ~ x + (1 | row)", {}, DataError, "must be < number of observations"),
    ("y ~ x + (f | pair)", {}, DataError, "(=60) <= number of random effects (=177) for term (f | pair)"),
    ("y ~ f * x + (f * x | g)", {}, DataError, "(=60) <= number of random effects (=60)"),
    ("constant ~ x + (1 | g)", {}, DataError, "the response is 3 in every row"),
    ("zero ~ x + (1 | g)", {}, DataError, "the response is 0 in every row"),
    ("exact ~ x + (1 | g)", {}, DataError, "population coefficients explain the response exactly"),
    ("exact ~ x + (x | g)", {}, DataError, "population coefficients explain the response exactly"),
    ("by_group ~ 1 + (1 | g)", {}, DataError, "coefficients and group effects fit the response exactly"),
    ("both ~ x + (1 | g)", {}, DataError, "coefficients and group effects fit the response exactly"),
    ("f ~ x + (1 | g)", {}, DataError, "the response `f` is a factor with 3 levels"),
    ("infinite ~ x + (1 | g)", {}, DataError, "column `infinite` is infinite in row 5"),
    ("y ~ infinite + (1 | g)", {}, DataError, "column `infinite` is infinite in row 5"),
    ("y ~ x + (infinite | g)", {}, DataError, "column `infinite` is infinite in row 5"),
    ("overflow ~ x + (1 | g)", {}, DataError, "change its unit"),
    ("y ~ overflow + (1 | g)", {}, DataError, "change its unit"),
    ("y ~ x + (overflow | g)", {}, DataError, "change its unit"),
    ("y ~ missing + (1 | g)", {}, DataError, "no row is left"),
    ("missing ~ x + (1 | g)", {}, DataError, "no row is left"),
    ("y ~ log(x) + (1 | g)", {}, DataError, "`log()` needs positive numbers"),
    ("y ~ x + (1 | gg)", {}, DataError, "column `gg` is not in the data"),
    ("y ~ twise + (1 | g)", {}, DataError, "did you mean `twice`?"),
    ("y ~ x + (1 | x)", {}, DataError, "must be < number of observations"),
    ("y ~ x", {}, FormulaError, "the formula has no group term"),
    ("~ x + (1 | g)", {}, FormulaError, "the formula has no response"),
    ("y ~ x + (0 | g)", {}, FormulaError, "this group term has no effects"),
    ("y ~ x + (1 | g) + (x | g)", {}, FormulaError, "`Intercept` of group `g` is there twice"),
    (
        "y ~ x + toep(x | g)",
        {},
        FormulaError,
        "no covariance structure; there are us(), diag(), cs() and ar1()",
    ),
    ("cbind(y, x) ~ 1 + (1 | g)", {}, FormulaError, "for glmer(); lmer() takes one numeric response"),
    ("y | weights(x) ~ 1 + (1 | g)", {}, FormulaError, "pass them as lmer(..., weights=)"),
    ("y ~ x + (1 | g)", {"weights": "weightless"}, DataError, "weights must be positive; row 4"),
    ("y ~ x + (1 | g)", {"weights": "negative"}, DataError, "weights must be positive; row 4"),
    ("y ~ x + (1 | g)", {"weights": "nowhere"}, DataError, "column `nowhere` is not in the data"),
    ("y ~ x + (1 | g)", {"weights": np.ones(5)}, DataError, "weights has shape (5,); the data have 60 rows"),
    ("y ~ x + (1 | g)", {"offset": np.ones(5)}, DataError, "offset has shape (5,); the data have 60 rows"),
    ("y ~ x + (1 | g)", {"subset": np.ones(5, bool)}, DataError, "subset has shape (5,)"),
    ("y ~ x + (1 | g)", {"subset": "g"}, DataError, "subset `g` is no logical column"),
    ("y ~ x + (1 | g)", {"subset": "x > 100"}, DataError, "no row is left"),
    ("y ~ x + (1 | g)", {"subset": "x >"}, FormulaError, "nothing stands right of `>`"),
    ("y ~ missing + (1 | g)", {"na_action": "fail"}, DataError, 'missing values and na_action="fail"'),
    ("y ~ x + (1 | g)", {"na_action": "pass"}, DataError, "na_action must be"),
    ("y ~ x + (1 | g)", {"start": [1.0, 2.0]}, BayesmlmError, "start has 2 values; the model has 1"),
    ("y ~ x + (1 | g)", {"start": [np.nan]}, BayesmlmError, "start must be finite numbers"),
    ("y ~ x + (1 | g)", {"start": "one"}, BayesmlmError, "start must be theta"),
    ("y ~ x + (1 | g)", {"start": {"fixef": [1.0]}}, BayesmlmError, "start must be theta"),
    ("y ~ x + (1 | g)", {"control": {"optimiser": 1}}, BayesmlmError, "control has no setting `optimiser`"),
    ("y ~ x + (1 | g)", {"control": "bobyqa"}, BayesmlmError, "control is a dict of settings"),
    (
        "y ~ x + (1 | g)",
        {"control": {"max_evaluations": 0}},
        BayesmlmError,
        "must be a positive whole number",
    ),
    ("y ~ x + (1 | g)", {"REML": "yes"}, BayesmlmError, "REML must be True or False"),
    ("y ~ f + (1 | g)", {"contrasts": {"f": "simple"}}, DataError, "unknown contrasts `simple`"),
    ("y ~ x + (1 | g)", {"contrasts": {"x": "sum"}}, DataError, "contrasts apply only to factors"),
]


@pytest.mark.parametrize(
    ("formula", "arguments", "error", "text"),
    [pytest.param(*case, id=f"{number:02d} {case[0]}") for number, case in enumerate(REFUSED)],
)
def test_refused(formula: str, arguments: dict[str, Any], error: type[BayesmlmError], text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        with pytest.raises(error, match=re.escape(text)):
            bm.lmer(formula, DATA, **arguments)


SAID: list[tuple[str, str]] = [
    (
        "y ~ x + twice + (1 | g)",
        "fixed-effect model matrix is rank deficient so dropping 1 column / coefficient",
    ),
    ("y ~ zero + (1 | g)", "fixed-effect model matrix is rank deficient so dropping 1 column / coefficient"),
    ("y ~ x + (1 | g) + (1 | g)", "the group term (1 | g) is there 2 times: it is fitted once"),
    ("y ~ x + (zero | g)", "`zero` in (zero | g) is zero in every row"),
    ("y ~ x + (0 + zero | g)", "`zero` in (0 + zero | g) is zero in every row"),
    ("y ~ x + (constant | g)", "the effects of (constant | g) depend linearly on each other"),
    ("y ~ x + (x + twice | g)", "the effects of (x + twice | g) depend linearly on each other"),
]


@pytest.mark.parametrize(("formula", "text"), SAID)
@pytest.mark.filterwarnings("ignore::bayesmlm.errors.ConvergenceWarning")
def test_fitted_with_a_message(formula: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    m = bm.lmer(formula, DATA)
    assert any(message.startswith(text) for message in m.messages)
    assert text in capsys.readouterr().err
    numbers = [m.criterion, m.sigma, *m.theta, *m.beta, *m.covariance.ravel(), *m.fitted()]
    assert np.isfinite(numbers).all()
    assert np.abs(m.theta).max() < 100.0


def test_unused_contrasts_are_a_warning() -> None:
    with pytest.warns(BayesmlmWarning, match="variable 'f' is absent from the formula"):
        bm.lmer("y ~ x + (1 | g)", DATA, contrasts={"f": "sum"})


def test_flat_directions_are_a_warning() -> None:
    """lme4's words: the criterion does not change with the split of a variance between two equal columns."""
    with pytest.warns(ConvergenceWarning, match="Model is nearly unidentifiable"):
        bm.lmer("y ~ x + (constant | g)", DATA)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bm.lmer("y ~ x + (1 | g)", DATA)


def test_few_evaluations_are_a_warning() -> None:
    with pytest.warns(ConvergenceWarning, match="Model failed to converge"):
        bm.lmer("y ~ x + (1 | g)", DATA, control={"max_evaluations": 1})


@pytest.mark.parametrize("column", ["big", "tiny"])
def test_units_change_nothing_but_units(column: str) -> None:
    plain, other = (bm.lmer(f"y ~ {name} + ({name} | h)", DATA, REML=False) for name in ("x", column))
    scale = DATA[column].std() / DATA["x"].std()
    assert other.criterion == pytest.approx(plain.criterion, abs=1e-8)
    np.testing.assert_allclose(other.beta * [1.0, scale], plain.beta, rtol=1e-6)
    np.testing.assert_allclose(
        other.VarCorr()["sdcor"][:2].astype(float) * [1.0, scale],
        plain.VarCorr()["sdcor"][:2].astype(float),
        rtol=1e-4,
        atol=1e-6,
    )


def test_a_far_origin_costs_no_digits() -> None:
    near, far = (bm.lmer(f"{name} ~ x + (1 | g)", DATA) for name in ("y", "shifted"))
    assert far.criterion == pytest.approx(near.criterion, abs=1e-4)  # y + 1e10 has six digits of y left
    np.testing.assert_allclose(far.theta, near.theta, rtol=1e-4)


def test_groups_with_one_row_each_but_two() -> None:
    """All levels but one have a single row: fitted, as lme4 does."""
    m = bm.lmer("y ~ x + (1 | pair)", DATA)
    assert m.ngrps == {"pair": N - 1}
    assert len(m.ranef()["pair"]) == N - 1


def test_no_population_coefficients() -> None:
    m = bm.lmer("y ~ 0 + (1 | g)", DATA)
    assert m.p == 0
    assert m.fixef().empty
    assert np.isfinite(m.criterion)


def test_refit_refuses_what_cannot_be_fitted() -> None:
    m = bm.lmer("y ~ x + (1 | g)", DATA)
    for y, text in (
        (np.ones(N), "in every row"),
        (put(Y, 3, np.nan), "is nan in row 4"),
        (Y[:5], "has shape"),
    ):
        with pytest.raises(DataError, match=text):
            m.refit(y)
    with pytest.raises(BayesmlmError, match="theta must be 1 finite numbers"):
        m.criterion_at([np.nan])
