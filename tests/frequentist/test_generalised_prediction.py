"""Predictions of generalised models against lme4 and glmmTMB; standard errors also by dense algebra."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit
from scipy.stats import norm

import bayesmlm as bm
from bayesmlm.frequentist.generalised_fit import GeneralisedFit

from ..support import reference
from .generalised_fits import fitted, head

KNOWN = reference("generalised_prediction")
CBPP = bm.load_dataset("cbpp")
TICKS = bm.load_dataset("grouseticks")
NEW = {
    "cbpp": {"period": ["1", "4"], "herd": ["3", "99"]},
    "grouseticks": {
        "YEAR": ["95", "97"],
        "cHEIGHT": [0, 10],
        "BROOD": ["501", "new"],
        "LOCATION": ["32", "7"],
    },
    "sleepstudy": {"Days": [2, 11], "Subject": ["308", "new"]},
}
# The optimisers of R stop where the log likelihood may still rise by 1e-9 or so: parameters are known to about the root
# of that, in standard errors.
TOLERANCE = 1e-4


@pytest.mark.parametrize("name", ["cbpp", "grouseticks", "sleepstudy"])
def test_predictions_are_lme4s(name: str) -> None:
    m, known = fitted(name), KNOWN[name]
    found = {
        "link": m.predict(),
        "response": m.predict(type="response"),
        "population": m.predict(re_formula="NA", type="response"),
        "random_only": m.predict(random_only=True),
    }
    for what, values in found.items():
        np.testing.assert_allclose(head(values), known[what], atol=TOLERANCE, rtol=TOLERANCE)
    new = m.predict(pd.DataFrame(NEW[name]), type="response", allow_new_levels=True)
    np.testing.assert_allclose(new, known["new"], rtol=TOLERANCE)
    with pytest.raises(bm.NewDataError, match=r"level `(99|new)`"):
        m.predict(pd.DataFrame(NEW[name]))


@pytest.mark.parametrize("name", ["zip", "hurdle"])
def test_all_types_are_glmmtmbs(name: str) -> None:
    m, known = fitted(name), KNOWN[name]
    assert m.logLik() == pytest.approx(known["logLik"], abs=1e-4)
    for type_ in ("link", "response", "conditional", "zprob", "zlink"):
        np.testing.assert_allclose(head(m.predict(type=type_)), known[type_], atol=1e-3, rtol=1e-3)
    for type_ in ("link", "response", "conditional", "zprob"):
        se = m.predict(type=type_, se=True)["se.fit"]
        np.testing.assert_allclose(head(se), known[f"se_{type_}"], rtol=5e-3)
    population = m.predict(re_formula="NA", se=True)
    np.testing.assert_allclose(head(population["fit"]), known["population"], atol=1e-3)
    np.testing.assert_allclose(head(population["se.fit"]), known["se_population"], rtol=5e-3)


def test_dispersion_and_its_error() -> None:
    m = fitted("nb")
    found = m.predict(type="disp", se=True)
    np.testing.assert_allclose(found["fit"], m.constants["shape"])
    at = m.part_slices["shape"]
    np.testing.assert_allclose(
        found["se.fit"], m.constants["shape"] * np.sqrt(m.covariance_all[at, at][0, 0])
    )
    # glmmTMB's Laplace approximation, and its conditional variances, are made of the observed information.
    se = m.update(laplace="observed").predict(se=True)["se.fit"]
    np.testing.assert_allclose(head(se), KNOWN["nb2"]["se_link"], rtol=5e-3)


def dense_rows(m: GeneralisedFit) -> list[np.ndarray]:
    """By linear predictor (n, P + q): columns of coefficients and standardised effects."""
    terms, owners = m.design.all_terms, m.design.term_parameters
    n, P = m.n, len(m.beta_all)
    stops = np.cumsum([P, *(t.count for t in terms)])
    out = []
    for part, at in m.part_slices.items():
        rows = np.zeros((n, stops[-1]))
        rows[:, at] = m.part(part).X
        for t, (term, T) in enumerate(zip(terms, m.templates, strict=True)):
            for a in range(term.size if owners[t] == part else 0):
                block = np.zeros((n, len(term.levels), term.size))
                block[np.arange(n), term.codes, a] = term.Z[:, a]
                rows[:, stops[t] : stops[t + 1]] += (block @ T).reshape(n, -1)
        out.append(rows)
    return out


def dense_covariance(m: GeneralisedFit) -> np.ndarray:
    """(P + q, P + q): the inverse of the penalised information on coefficients and standardised effects."""
    rows, local = dense_rows(m), m.evaluation.mode.local
    W = local.expected if m.problem.model.expected else local.observed
    H = sum(rows[d].T @ (W[d, e][:, None] * rows[e]) for d in range(len(rows)) for e in range(len(rows)))
    P = len(m.beta_all)
    return m.sigma**2 * np.linalg.inv(H + np.diag(np.append(np.zeros(P), np.ones(len(H) - P))))


@pytest.mark.parametrize("name", ["cbpp", "grouseticks", "sleepstudy", "hurdle", "zi_groups"])
def test_errors_at_fixed_covariance_parameters_by_dense_algebra(name: str) -> None:
    m = fitted(name)
    rows, V = dense_rows(m), dense_covariance(m)
    se = m.predict(se=True, use_hessian=False)["se.fit"]
    np.testing.assert_allclose(se, np.sqrt(np.einsum("na,ab,nb->n", rows[0], V, rows[0])), rtol=1e-6)
    population = rows[0].copy()
    population[:, len(m.beta_all) :] = 0.0
    se = m.predict(se=True, use_hessian=False, re_formula="NA")["se.fit"]
    wanted = np.sqrt(np.einsum("na,ab,nb->n", population, V, population))
    np.testing.assert_allclose(se, wanted, rtol=1e-6)
    if len(rows) > 1:
        h, eta = 1e-5, m.evaluation.mode.eta
        slope = [
            (m.problem.kernel.mean(eta + h * unit) - m.problem.kernel.mean(eta - h * unit)) / (2 * h)
            for unit in np.eye(len(rows))[:, :, None]
        ]
        moved = sum(s[:, None] * r for s, r in zip(slope, rows, strict=True))
        se = m.predict(se=True, use_hessian=False, type="response")["se.fit"]
        np.testing.assert_allclose(se, np.sqrt(np.einsum("na,ab,nb->n", moved, V, moved)), rtol=1e-6)


def test_population_errors_are_those_of_the_summary() -> None:
    m = fitted("cbpp")
    X, V = m.design.X, m.vcov().to_numpy()
    found = m.predict(re_formula="NA", se=True)
    np.testing.assert_allclose(found["se.fit"], np.sqrt(np.einsum("np,pq,nq->n", X, V, X)), rtol=1e-10)


def test_intervals_are_transformed_from_the_link() -> None:
    m = fitted("cbpp")
    link, found = m.predict(se=True), m.predict(type="response", interval="confidence", level=0.9, se=True)
    half = norm.ppf(0.95) * link["se.fit"]
    np.testing.assert_allclose(found["lwr"], expit(link["fit"] - half), rtol=1e-10)
    np.testing.assert_allclose(found["upr"], expit(link["fit"] + half), rtol=1e-10)
    slope = found["fit"] * (1 - found["fit"])
    np.testing.assert_allclose(found["se.fit"], link["se.fit"] * slope, rtol=1e-10)
    assert list(found.columns) == ["fit", "lwr", "upr", "se.fit"]


def test_interval_of_a_mean_of_several_parameters() -> None:
    found = fitted("zip").predict(type="response", interval="confidence", se=True)
    half = norm.ppf(0.975) * found["se.fit"] / found["fit"]
    np.testing.assert_allclose(found["lwr"], found["fit"] * np.exp(-half), rtol=1e-10)
    np.testing.assert_allclose(found["upr"], found["fit"] * np.exp(half), rtol=1e-10)


def test_intervals_of_links_with_a_pole() -> None:
    from bayesmlm.frequentist.generalised_predict import _transformed

    lower, upper = _transformed("inverse", np.array([0.5, -0.1]), np.array([2.0, 0.5]))
    np.testing.assert_allclose(lower, [0.5, 2.0])
    np.testing.assert_allclose(upper, [2.0, np.inf])
    lower, upper = _transformed("sqrt", np.array([1.0, -1.0]), np.array([2.0, 2.0]))
    np.testing.assert_allclose([lower, upper], [[1.0, 0.0], [4.0, 4.0]])


def test_only_the_columns_that_are_needed_are_read() -> None:
    m = fitted("zip")
    years = pd.DataFrame({"YEAR": ["95", "97"]})
    beta = m.fixef("zi")
    zlink = [beta["(Intercept)"], beta["(Intercept)"] + beta["YEAR97"]]
    np.testing.assert_allclose(m.predict(years, type="zlink"), zlink)
    with pytest.raises(bm.BayesmlmError, match="cHEIGHT"):
        m.predict(years, "NA")
    rows = years.assign(cHEIGHT=[0.0, np.nan])
    assert np.isnan(m.predict(rows, "NA", type="response")[1])
    assert len(m.predict(rows, "NA", na_action="omit")) == 1


def test_effects_by_name_belong_to_their_parts() -> None:
    m = fitted("zi_groups")
    np.testing.assert_allclose(m.predict(re_formula="~ (1 | LOCATION)"), m.predict())
    alone = m.predict(type="zlink", re_formula="NA")
    np.testing.assert_allclose(m.predict(type="zlink", re_formula="~ (1 | LOCATION)"), alone)
    effects = m.ranef(part="zi")["YEAR"]["(Intercept)"]
    apart = m.predict(type="zlink", re_formula="~ (1 | YEAR)") - alone
    np.testing.assert_allclose(apart, effects.loc[TICKS["YEAR"].astype(str)].to_numpy())
    np.testing.assert_allclose(m.predict(type="zprob"), expit(m.predict(type="zlink")))


def test_offsets_and_rates() -> None:
    data = TICKS.assign(size=1.0 + np.arange(len(TICKS)) % 3)
    by_offset = bm.glmer("TICKS ~ YEAR + offset(log(size)) + (1 | LOCATION)", data, family="poisson")
    by_rate = bm.glmer("TICKS | rate(size) ~ YEAR + (1 | LOCATION)", data, family="poisson")
    new = data.head(4).assign(size=7.0)
    found = by_offset.predict(new)
    np.testing.assert_allclose(found, by_offset.predict()[:4] - np.log(data["size"][:4]) + np.log(7.0))
    np.testing.assert_allclose(by_rate.predict(new), found, rtol=1e-5)


def test_coefficients_found_with_the_effects_have_errors_at_fixed_parameters() -> None:
    m = bm.glmer("incidence | trials(size) ~ period + (1 | herd)", CBPP, family="binomial", nAGQ=0)
    pd.testing.assert_frame_equal(m.predict(se=True), m.predict(se=True, use_hessian=False))
    with pytest.raises(bm.BayesmlmError, match="nAGQ=0"):
        m.predict(se=True, use_hessian=True)


def test_rows_left_out_keep_their_places() -> None:
    data = CBPP.assign(size=CBPP["size"].where(CBPP.index != 1))
    m = bm.glmer(
        "incidence | trials(size) ~ period + (1 | herd)", data, family="binomial", na_action="exclude"
    )
    found = m.predict(type="response", se=True)
    assert np.flatnonzero(found["fit"].isna()).tolist() == [1]
    np.testing.assert_allclose(found["fit"], m.fitted())
    assert len(m.simulate(1)) == len(m.simulation_residuals(5).values) == 55


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("cbpp", {"type": "zprob"}, "`binomial` has neither"),
        ("cbpp", {"type": "disp"}, "estimates no dispersion"),
        ("sleepstudy", {"type": "disp"}, "taken from the residuals"),
        ("cbpp", {"type": "terms"}, "type is one of link, response"),
        ("cbpp", {"interval": "prediction"}, r"simulate\(newdata"),
        ("cbpp", {"level": 95}, "between 0 and 1"),
        ("zip", {"type": "zprob", "random_only": True}, "random_only is for the predictor of mu"),
        ("cbpp", {"re_formula": "~ (1 | farm)"}, "`farm`, which is not in the model"),
    ],
    ids=str,
)
def test_refusals(name: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(bm.BayesmlmError, match=message):
        fitted(name).predict(**arguments)


def test_the_common_families_need_no_jax() -> None:
    program = """
import sys, bayesmlm as bm
m = bm.glmer("incidence | trials(size) ~ period + (1 | herd)", bm.load_dataset("cbpp"), family="binomial")
m.predict(se=True, type="response", interval="confidence")
m.simulate(2, seed=1), m.residuals("quantile"), m.simulation_residuals(5), m.overdispersion(), m.r2()
assert "jax" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_proportions_on_the_scale_of_the_link() -> None:
    m = fitted("cbpp")
    np.testing.assert_allclose(logit(m.predict(type="response")), m.predict(), rtol=1e-10)
    np.testing.assert_allclose(m.predict(type="conditional"), m.fitted(), rtol=1e-12)
