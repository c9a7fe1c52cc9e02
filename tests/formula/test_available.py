"""What is read but not built yet is refused by name, with a caret."""

from __future__ import annotations

import pytest

from bayesmlm.errors import FormulaError
from bayesmlm.formula import as_bayes_formula
from bayesmlm.formula.available import UNAVAILABLE_ADDITIONS, UNAVAILABLE_TERMS, refuse_unavailable

AVAILABLE = [
    "y ~ x * z + (1 + x | g) + (1 || a/b) + offset(w)",
    "y | trials(n) + weights(w) ~ 1",
    'y ~ (1 | gr(g, by = z, cor = FALSE, id = "p", dist = "gaussian")) + (x | p | h)',
    "bf(y ~ x, sigma ~ z, nu = 4)",
    "y ~ .",
    "bf(y ~ x, center = FALSE)",
]
REFUSED = {
    "y ~ s(x) + z": "smooth terms `s(x)` are not available yet\n    y ~ s(x) + z\n        ^^^^",
    "y ~ mo(x):z": "monotonic effects `mo(x)` are not available yet",
    "y ~ te(x, z)": "use t2()",
    "y ~ ar1(1 + x | g)": "covariance structures `ar1(1 + x | g)` are not available yet",
    "y ~ (1 | mm(a, b))": "multi-membership group terms `mm(a, b)` are not available yet",
    "y ~ (1 | gr(g, cov = A))": "known covariances of group levels `cov = A` are not available yet",
    "y ~ (1 | gr(g, pw = w))": "prior weights of group levels `pw = w` are not available yet",
    'y ~ (1 | gr(g, dist = "student"))': 'group effects `dist = "student"` are not available yet',
    "bf(y ~ x, sigma ~ s(z))": "smooth terms `s(z)` are not available yet",
    "bf(y ~ x, autocor = ~ar())": "autocorrelation terms `ar()` are not available yet",
    "bf(y ~ x, nl = TRUE)": "non-linear formulas (`y ~ x`) are not available yet",
    "bf(y ~ x, nlf(sigma ~ z))": "non-linear formulas (`sigma ~ z`) are not available yet",
    "bf(y ~ x, decomp = 'QR')": "QR decompositions of the design (`y ~ x`) are not available yet",
    "bf(y ~ x, sparse = TRUE)": "sparse design matrices (`y ~ x`) are not available yet",
    "mvbf(y ~ x, z ~ x)": "models of several responses are not available yet",
}


@pytest.mark.parametrize("text", AVAILABLE)
def test_available(text: str) -> None:
    refuse_unavailable(as_bayes_formula(text))


@pytest.mark.parametrize("text", REFUSED)
def test_refused(text: str) -> None:
    with pytest.raises(FormulaError) as caught:
        refuse_unavailable(as_bayes_formula(text))
    assert REFUSED[text] in str(caught.value)
    assert caught.value.source == text


def test_every_row_of_the_tables_refuses() -> None:
    for name in UNAVAILABLE_TERMS:
        with pytest.raises(FormulaError, match="not available yet"):
            refuse_unavailable(as_bayes_formula(f"y ~ {name}(x, z)"))
    for name in UNAVAILABLE_ADDITIONS:
        with pytest.raises(FormulaError, match="not available yet"):
            refuse_unavailable(as_bayes_formula(f"y | {name}(x) ~ z"))
