"""Posteriors that are known in closed form, draws from priors, and predictions recomputed from the draws.

All numbers are compared with five Monte Carlo standard errors of the draws.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import betaln

import bayesmlm as bm
from bayesmlm.results.convergence import mcse_mean, mcse_quantile, mcse_sd
from bayesmlm.results.layout import draws_array

from .simulated import DATA, N, draw
from .tolerances import FACTOR

# Many runs here are as short as their question allows.
pytestmark = pytest.mark.filterwarnings("ignore::bayesmlm.ConvergenceWarning")

prior = bm.set_prior
PROBABILITIES = (0.05, 0.25, 0.5, 0.75, 0.95)


def disagree(fit, exact):
    """What differs from ``exact`` (draw name -> scipy distribution): mean, sd and quantiles."""
    out = []
    for name, law in exact.items():
        _, draws = draws_array(fit.idata, [name])
        compared = {"mean": (draws.mean(), mcse_mean(draws), law.mean())}
        if law.std() < np.inf:
            compared["sd"] = (draws.std(ddof=1), mcse_sd(draws), law.std())
        for p in PROBABILITIES:
            compared[f"q{p}"] = (np.quantile(draws, p), mcse_quantile(draws, p), law.ppf(p))
        out += [
            f"{name} {what}: {value:.4f}, exactly {expected:.4f}, error {error[0]:.2g}"
            for what, (value, error, expected) in compared.items()
            if not abs(value - expected) <= FACTOR * error[0]
        ]
    return out


# ---- exact posteriors ------------------------------------------------------------------------------------------
def normal_posterior(names, design, y, prior_mean, prior_sd, sd):
    """Posterior of the coefficients of a Gaussian regression with known residual sd's, one law a coefficient."""
    weights = 1 / np.broadcast_to(sd, len(y)) ** 2
    precision = design.T @ (weights[:, None] * design) + np.diag(1 / np.asarray(prior_sd) ** 2)
    covariance = np.linalg.inv(precision)
    mean = covariance @ (design.T @ (weights * y) + np.asarray(prior_mean) / np.asarray(prior_sd) ** 2)
    sds = np.sqrt(np.diag(covariance))
    return {name: stats.norm(m, s) for name, m, s in zip(names, mean, sds, strict=True)}


def exact_posteriors():
    """name -> (formula, family, prior, exact laws)."""
    ones, x, y = np.ones(N), DATA["x"].to_numpy(), DATA["y"].to_numpy()
    dummies = pd.get_dummies(DATA["g"]).to_numpy(float)
    b = prior("normal(1, 3)", class_="b")
    intercept = ["b_Intercept"]
    centred = x - x.mean()
    effects = [f"r_g[{level},Intercept]" for level in "abcdef"]
    return {
        "mean": (
            bm.bf("y ~ 1", sigma=2),
            "gaussian",
            prior("normal(1, 3)", class_="Intercept"),
            normal_posterior(intercept, ones[:, None], y, [1], [3], 2),
        ),
        "regression, prior on the uncentred intercept": (
            bm.bf("y ~ 0 + Intercept + x", sigma=2),
            "gaussian",
            b,
            normal_posterior([*intercept, "b_x"], np.column_stack([ones, x]), y, [1, 1], [3, 3], 2),
        ),
        "regression, prior on the centred intercept": (
            bm.bf("y ~ x", sigma=2),
            "gaussian",
            b + prior("normal(0, 1)", class_="Intercept"),
            normal_posterior(["Intercept", "b_x"], np.column_stack([ones, centred]), y, [0, 1], [1, 3], 2),
        ),
        "sigma constant by a prior": (
            "y ~ 0 + Intercept",
            "gaussian",
            b + prior("constant(2)", class_="sigma"),
            normal_posterior(intercept, ones[:, None], y, [1], [3], 2),
        ),
        # A weight multiplies the log-likelihood, as so many rows, or as a residual sd of 2 / sqrt(w).
        "weights": (
            bm.bf("y | weights(w) ~ 0 + Intercept", sigma=2),
            "gaussian",
            b,
            normal_posterior(intercept, ones[:, None], y, [1], [3], 2 / np.sqrt(DATA["w"].to_numpy())),
        ),
        "replicated rows": (
            bm.bf("y ~ 0 + Intercept", sigma=2),
            "gaussian",
            b,
            normal_posterior(intercept, ones[:, None], y, [1], [3], 2 / np.sqrt(DATA["w"].to_numpy())),
        ),
        "offset": (
            bm.bf("y ~ 0 + Intercept + offset(o)", sigma=2),
            "gaussian",
            b,
            normal_posterior(intercept, ones[:, None], y - DATA["o"].to_numpy(), [1], [3], 2),
        ),
        "group effects of known spread": (
            bm.bf("y ~ 0 + Intercept + (1 | g)", sigma=2),
            "gaussian",
            b + prior("constant(1.5)", class_="sd"),
            normal_posterior(
                [*intercept, *effects],
                np.column_stack([ones, dummies]),
                y,
                [1] + [0] * 6,
                [3] + [1.5] * 6,
                2,
            ),
        ),
        "no population effects": (
            bm.bf("y ~ 0 + (1 | g)", sigma=2),
            "gaussian",
            prior("constant(1.5)", class_="sd"),
            normal_posterior(effects, dummies, y, [0] * 6, [1.5] * 6, 2),
        ),
        "gamma prior of a Poisson rate": (
            "count ~ 0 + Intercept",
            bm.brmsfamily("poisson", link="identity"),
            prior("gamma(2, 1)", class_="b", lb=0),
            {"b_Intercept": stats.gamma(2 + DATA["count"].sum(), scale=1 / (1 + N))},
        ),
        "beta prior of a probability": (
            "hits | trials(size) ~ 0 + Intercept",
            bm.brmsfamily("binomial", link="identity"),
            prior("beta(2, 3)", class_="b", lb=0, ub=1),
            {"b_Intercept": stats.beta(2 + DATA["hits"].sum(), 3 + (DATA["size"] - DATA["hits"]).sum())},
        ),
        "gamma prior of an exponential rate": (
            "size ~ 0 + Intercept",
            bm.brmsfamily("exponential", link="inverse"),
            prior("gamma(2, 1)", class_="b", lb=0),
            {"b_Intercept": stats.gamma(2 + N, scale=1 / (1 + DATA["size"].sum()))},
        ),
        "gamma prior of an inverse Gaussian's shape": (
            "size ~ 0 + Intercept",
            bm.brmsfamily("inverse.gaussian", link="identity"),
            prior("constant(6)", class_="b") + prior("gamma(2, 1)", class_="shape"),
            {
                "shape": stats.gamma(
                    2 + N / 2, scale=1 / (1 + ((DATA["size"] - 6) ** 2 / (72 * DATA["size"])).sum())
                )
            },
        ),
        # Whatever is said of the counts: rows are zeros or not, and hu has a uniform prior.
        "probability of a hurdle": (
            "zeros ~ 1",
            "hurdle_poisson",
            None,
            {"hu": stats.beta(1 + (DATA["zeros"] == 0).sum(), 1 + (DATA["zeros"] > 0).sum())},
        ),
    }


@pytest.mark.parametrize("name", exact_posteriors())
def test_posterior_in_closed_form(name):
    formula, family, priors, exact = exact_posteriors()[name]
    data = DATA
    if name == "replicated rows":
        data = DATA.loc[DATA.index.repeat(DATA["w"].astype(int))]
    fit = draw(formula, data, family, prior=priors)
    assert disagree(fit, exact) == []
    assert "Intercept" in str(fit.summary())
    if name == "no population effects":
        with pytest.raises(bm.BayesmlmError, match="no population-level effects"):
            fit.fixef()


def test_scaled_weights_have_mean_one():
    formula = bm.bf("y | weights(w, scale = TRUE) ~ 0 + Intercept", sigma=2)
    weights = DATA["w"] / DATA["w"].mean()
    fit = draw(formula, DATA, prior=prior("normal(1, 3)", class_="b"), iter=40, warmup=20, chains=1)
    np.testing.assert_allclose(fit.design.response.weights, weights, rtol=1e-14)


# ---- priors ----------------------------------------------------------------------------------------------------
PRIORS = (
    prior("normal(0, 1)", class_="b")
    + prior("student_t(7, 2, 0.5)", class_="b", coef="x")
    + prior("normal(10, 2)", class_="Intercept")
    + prior("exponential(2)", class_="sd")
    + prior("normal(0, 3)", class_="sd", coef="x", group="g")
    + prior("lkj(3)", class_="cor")
    + prior("student_t(4, 0, 2)", class_="sigma")
)
LAWS = {
    "b_x": stats.t(7, 2, 0.5),
    "b_o": stats.norm(0, 1),
    "Intercept": stats.norm(10, 2),
    "sd_g__Intercept": stats.expon(scale=0.5),
    "sd_g__x": stats.halfnorm(scale=3),
    # Half of a Student t: the distribution of |t|, whose quantile function is that of t in the upper half.
    "sigma": None,
    # LKJ(eta) of a 2 x 2 matrix: (rho + 1) / 2 is Beta(eta, eta) (Lewandowski, Kurowicka and Joe, 2009).
    "cor_g__Intercept__x": stats.beta(3, 3, loc=-1, scale=2),
}


class HalfT:
    """|t| with 4 degrees of freedom and scale 2. Mean of half-t: Psarakis and Panaretos (1990)."""

    def mean(self):
        return 2 * stats.t(4).expect(lambda t: t, lb=0) * 2

    def std(self):
        return np.sqrt(4 * 2 - self.mean() ** 2)

    def ppf(self, p):
        return 2 * stats.t(4).ppf((1 + p) / 2)


LAWS["sigma"] = HalfT()


def lkj_log_constant(eta, size):
    """Log of the integral of det^(eta - 1) over correlation matrices: Lewandowski et al. (2009), theorem 5."""
    total = 0.0
    for k in range(1, size):
        b = eta + (size - k - 1) / 2
        total += (2 * eta - 2 + size - k) * (size - k) * np.log(2) + (size - k) * betaln(b, b)
    return total


def test_sample_prior_only_draws_from_the_priors():
    fit = draw("y ~ x + o + (x | g)", DATA, prior=PRIORS, sample_prior="only", iter=6000)
    assert disagree(fit, LAWS) == []
    # The responses then come from the prior predictive distribution, and b_Intercept is the centred one shifted.
    frame = fit.as_draws_df(["Intercept", "b_Intercept", "b_x", "b_o"])
    shifted = frame["Intercept"] - frame["b_x"] * DATA["x"].mean() - frame["b_o"] * DATA["o"].mean()
    np.testing.assert_allclose(frame["b_Intercept"], shifted, rtol=1e-10, atol=1e-10)


@pytest.mark.validate
def test_sample_prior_yes_adds_draws_from_the_priors():
    fit = draw("y ~ x + o + (x | g)", DATA, prior=PRIORS, sample_prior="yes", control={"adapt_delta": 0.9})
    assert disagree(fit, {f"prior_{name}": law for name, law in LAWS.items()}) == []


def test_correlations_of_a_larger_matrix_are_drawn_from_lkj():
    """Each correlation of LKJ(eta) of a d x d matrix has (rho + 1) / 2 ~ Beta(a, a), a = eta - 1 + d / 2."""
    from bayesmlm.priors.lkj import draw_correlations

    drawn = draw_correlations(1.5, 4, np.random.default_rng(1), 20_000)
    law = stats.beta(2.5, 2.5, loc=-1, scale=2)
    for i, j in zip(*np.tril_indices(4, -1), strict=True):
        assert stats.kstest(drawn[:, i, j], law.cdf).pvalue > 1e-4
    # E(det) = integral of det^eta / integral of det^(eta - 1).
    logs = [lkj_log_constant(eta, 4) for eta in (1.5, 2.5)]
    determinants = np.linalg.det(drawn)
    error = determinants.std() / np.sqrt(len(drawn))
    assert determinants.mean() == pytest.approx(np.exp(logs[1] - logs[0]), abs=FACTOR * error)


# ---- predictions -----------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def two_groups():
    """Slopes of two variables by one factor and intercepts by another; the spreads are known."""
    data = DATA.assign(h=np.tile(["p", "q", "r"], 8), x2=np.random.default_rng(78).normal(size=N))
    priors = prior("normal(0, 5)", class_="b") + prior("constant(1.5)", class_="sd")
    formula = bm.bf("y ~ 0 + Intercept + x + (x + x2 || g) + (1 | h)", sigma=2)
    return draw(formula, data, prior=priors), data


SUBSETS = {
    "NA": [],
    "~ 0": [],
    "~ (1 | h)": [("h", "Intercept")],
    "~ (1 | g)": [("g", "Intercept")],
    "~ (0 + x | g)": [("g", "x")],
    "~ (x || g) + (1 | h)": [("g", "Intercept"), ("g", "x"), ("h", "Intercept")],
}


@pytest.mark.parametrize("newdata", [False, True])
@pytest.mark.parametrize("re_formula", SUBSETS)
def test_re_formula_keeps_the_effects_it_names(two_groups, re_formula, newdata):
    fit, data = two_groups
    draws = fit.as_draws_df()
    column = {"Intercept": np.ones(N), "x": data["x"]}
    expected = draws["b_Intercept"].to_numpy()[:, None] + np.outer(draws["b_x"], data["x"])
    for group, coef in SUBSETS[re_formula]:
        effects = draws[[f"r_{group}[{level},{coef}]" for level in data[group]]].to_numpy()
        expected = expected + effects * np.asarray(column[coef])
    # New data need not have the grouping variables of effects that are left out.
    wanted = ["x", "x2", *dict.fromkeys(group for group, _ in SUBSETS[re_formula])]
    given = data[wanted] if newdata else None
    np.testing.assert_allclose(
        fit.posterior_epred(given, re_formula=re_formula), expected, rtol=1e-9, atol=1e-9
    )


def test_new_levels_have_the_spread_of_their_group(two_groups):
    fit, data = two_groups
    new = data.iloc[[0, 1]].assign(h="new", x=0.0)
    arguments = {"re_formula": "~ (1 | h)", "allow_new_levels": True}
    fixed = fit.posterior_epred(new, re_formula="NA")
    effects = fit.as_draws_df("r_h").drop(columns=[".chain", ".iteration", ".draw"]).to_numpy()
    drawn = {
        how: fit.posterior_epred(new, sample_new_levels=how, **arguments) - fixed
        for how in ("gaussian", "uncertainty", "old_levels")
    }
    for values in drawn.values():
        # One level is one effect in a draw, in whatever row it stands.
        np.testing.assert_allclose(values[:, 0], values[:, 1], atol=1e-9)
    n = fit.ndraws
    assert drawn["gaussian"][:, 0].std() == pytest.approx(1.5, rel=FACTOR / np.sqrt(2 * n))
    assert drawn["gaussian"][:, 0].mean() == pytest.approx(0, abs=FACTOR * 1.5 / np.sqrt(n))
    # "uncertainty": in each draw the effect of some existing level; "old_levels": of the same one in all.
    nearest = np.abs(drawn["uncertainty"][:, :1] - effects)
    assert (nearest.min(axis=1) < 1e-9).all()
    assert np.bincount(nearest.argmin(axis=1)) / n == pytest.approx(1 / 3, abs=FACTOR * np.sqrt(2 / 9 / n))
    same = (np.abs(drawn["old_levels"][:, :1] - effects) < 1e-9).all(axis=0)
    assert same.sum() == 1


def test_offset_shifts_predictions():
    formula = bm.bf("y ~ 0 + Intercept + offset(o)", sigma=2)
    fit = draw(formula, DATA, prior=prior("normal(0, 5)", class_="b"), iter=200, warmup=100, chains=1)
    draws = fit.as_draws_df("b_Intercept")["b_Intercept"].to_numpy()
    new = pd.DataFrame({"o": [0.0, 10.0]})
    np.testing.assert_allclose(fit.posterior_epred(new), draws[:, None] + [0.0, 10.0], rtol=1e-12)
