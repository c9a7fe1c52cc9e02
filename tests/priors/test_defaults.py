"""The default tables against brms 2.18's get_prior(), cell by cell, and the rules behind them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bayesmlm.datasets import load_dataset
from bayesmlm.errors import PriorError
from bayesmlm.families.registry import family
from bayesmlm.priors.as_r import collation_key, r_number, r_round
from bayesmlm.priors.defaults import default_prior_table

from ..support import local_data, reference
from .models import MODELS, group, outline, predictor

NOT_SHIPPED = {"imm10", "classroom"}
TABLES = {
    (t["data"].removesuffix(".csv"), t["formula"], t["family"]): t["prior_table"]
    for t in reference("brms_default_priors_A")["tables"]
}


def response(data: str, column: str) -> Any:
    if not column:
        return None
    frame = local_data(data) if data in NOT_SHIPPED else load_dataset(data)
    if column == "prop":
        return ((frame["Reaction"] - 150) / 400).to_numpy()
    return frame[column].to_numpy(dtype=float)


@pytest.mark.parametrize("model", MODELS, ids=lambda m: f"{m[1]} {m[2]}")
def test_table_is_brms(model: tuple[str, str, str]) -> None:
    column, *parts = MODELS[model]
    table = default_prior_table(outline(model[2], response(model[0], column), *parts)).to_frame()
    expected = TABLES[model]
    assert list(table.columns) == list(expected)
    for name, cells in expected.items():
        assert list(table[name]) == ([cells] if isinstance(cells, str) else cells), name


def prior_of(rows: Any, class_: str, dpar: str = "") -> str:
    return next(r.prior for r in rows if (r.class_, r.coef, r.group, r.dpar) == (class_, "", "", dpar))


Y = np.array([0, 3, 40, 800, 2e4, 1e6])
DPAR_LINKS = [
    # get_prior(bf(y ~ 1, <dpar> ~ 1), family = brmsfamily(<family>, link_<dpar> = <link>)), brms 2.18
    ("gaussian", "sigma", "log", "student_t(3, 0, 6.5)"),
    ("gaussian", "sigma", "identity", "student_t(3, 0, 620.5)"),
    ("gaussian", "sigma", "softplus", "student_t(3, 0, 2.5)"),
    ("student", "nu", "logm1", "normal(2.7, 0.8)"),
    ("student", "nu", "identity", "gamma(2, 0.1)"),
    ("negbinomial", "shape", "log", "student_t(3, 0, 2.5)"),
    ("negbinomial", "shape", "identity", "gamma(0.01, 0.01)"),
    ("gaussian", "mu", "identity", "student_t(3, 420, 620.5)"),
    ("gaussian", "mu", "log", "student_t(3, 5.2, 6.5)"),
    ("gaussian", "mu", "inverse", "student_t(3, 0, 2.5)"),
    ("poisson", "mu", "sqrt", "student_t(3, 17.3, 24.4)"),
    ("poisson", "mu", "softplus", "student_t(3, 0, 2.5)"),
    ("zero_inflated_poisson", "zi", "logit", "logistic(0, 1)"),
    ("zero_inflated_poisson", "zi", "identity", "beta(1, 1)"),
    ("hurdle_poisson", "hu", "logit", "logistic(0, 1)"),
    ("hurdle_poisson", "hu", "identity", "beta(1, 1)"),
    ("beta_binomial", "phi", "log", "student_t(3, 0, 2.5)"),
    ("beta_binomial", "phi", "identity", "gamma(0.01, 0.01)"),
    ("beta_binomial", "phi", "softplus", "student_t(3, 0, 2.5)"),
]


@pytest.mark.parametrize(("name", "dpar", "link", "expected"), DPAR_LINKS)
def test_intercept_prior_follows_the_link(name: str, dpar: str, link: str, expected: str) -> None:
    record = family(name, **{"link" if dpar == "mu" else f"link_{dpar}": link})
    rows = default_prior_table(outline(record, Y, [predictor(dpar=dpar)]))
    assert prior_of(rows, "Intercept", "" if dpar == "mu" else dpar) == expected


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        # get_prior(y ~ 1, family = brmsfamily("inverse.gaussian", <link>)) with this y, brms 2.18
        ("1/mu^2", "student_t(3, 11.1, 13.4)"),
        ("inverse", "student_t(3, 3.3, 2.5)"),
        ("identity", "student_t(3, 0.3, 2.5)"),
        ("log", "student_t(3, -1.2, 2.5)"),
        ("softplus", "student_t(3, 0, 2.5)"),
    ],
)
def test_inverse_gaussian_intercept_follows_the_link(link: str, expected: str) -> None:
    y = np.array([0.1, 0.2, 0.3, 0.5, 0.7])
    rows = default_prior_table(outline(family("inverse.gaussian", link), y, [predictor()], (), ["shape"]))
    assert prior_of(rows, "Intercept") == expected
    assert prior_of(rows, "shape") == "gamma(0.01, 0.01)"


UNPREDICTED = [
    # prior, lb, ub of get_prior(y ~ 1), brms 2.18; nbinom1 is not brms's
    ("hurdle_negbinomial", "hu", ("beta(1, 1)", "0", "1")),
    ("hurdle_negbinomial", "shape", ("gamma(0.01, 0.01)", "0", "")),
    ("beta_binomial", "phi", ("gamma(0.01, 0.01)", "0", "")),
    ("nbinom1", "phi", ("gamma(0.01, 0.01)", "0", "")),
]


@pytest.mark.parametrize(("name", "dpar", "expected"), UNPREDICTED)
def test_priors_of_unpredicted_parameters(name: str, dpar: str, expected: tuple[str, str, str]) -> None:
    rows = default_prior_table(outline(name, Y, [predictor()], (), [dpar]))
    assert [(r.prior, r.lb, r.ub) for r in rows if r.class_ == dpar] == [expected]


def test_offset_shifts_the_location_unrounded() -> None:
    epilepsy = load_dataset("epilepsy")
    offset = float(np.log(epilepsy["Base"].to_numpy(dtype=float)).mean())
    y = epilepsy["count"].to_numpy(dtype=float)
    rows = default_prior_table(outline("negbinomial", y, [predictor(offset=offset)], (), ["shape"]))
    # brms, count ~ ... + offset(log(Base)), negbinomial
    assert prior_of(rows, "Intercept") == "student_t(3, -1.75424906151593, 2.5)"


def test_same_effect_twice_is_refused() -> None:
    with pytest.raises(PriorError, match="group `g` has the effect `x` twice"):
        default_prior_table(
            outline("gaussian", Y, [predictor()], [group("g", "Intercept", "x"), group("g", "x")])
        )


# R 4.2: round(x, 1)
ROUNDED = """
0.15 0.1|0.25 0.2|0.35 0.3|0.45 0.4|2.35 2.4|2.45 2.5|14.05 14.1|14.25 14.2|1234567.45 1234567.4|288.65 288.6
-0.25 -0.2|7.0 7.0|0.05 0.0
"""


@pytest.mark.parametrize("pair", [p for line in ROUNDED.split("\n") for p in line.split("|") if p])
def test_rounding_is_that_of_r(pair: str) -> None:
    x, rounded = map(float, pair.split())
    assert r_round(x, 1) == rounded


# R 4.2: as.character(x)
WRITTEN = {
    100000.0: "1e+05",
    123456.0: "123456",
    100000.1: "100000.1",
    1e-4: "1e-04",
    0.1 + 0.2: "0.3",
    1 / 3: "0.333333333333333",
    2e6 / 3: "666666.666666667",
    -0.0: "0",
    59.3: "59.3",
    1e15: "1e+15",
    123456789012.0: "123456789012",
    5e-324: "4.94065645841247e-324",
    float("-inf"): "-Inf",
}


@pytest.mark.parametrize("x", WRITTEN)
def test_numbers_are_written_as_in_r(x: float) -> None:
    assert r_number(x) == WRITTEN[x]


# R 4.2: sort(), English locale
SORTED = """
(x)|a|A|b|B|é|ez|f|homework|I(x^2)|Intercept|IxE2|sector|sector:ses|sectora|ses_cmc|sesa|sesA|x y|x_2|x-y|x:y
|x.2|x1|xy
"""


def test_names_sort_as_in_r() -> None:
    names = SORTED.replace("\n", "").split("|")
    shuffled = sorted(names, key=lambda name: name[::-1])
    assert sorted(shuffled, key=collation_key) == names
