"""Posteriors that are known in closed form, priors against scipy, and the promises of `brm`'s arguments.

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

from .tolerances import FACTOR

# Many runs here are as short as their question allows.
pytestmark = pytest.mark.filterwarnings("ignore::bayesmlm.ConvergenceWarning")

prior = bm.set_prior
PROBABILITIES = (0.05, 0.25, 0.5, 0.75, 0.95)


def draw(formula, data, family="gaussian", **arguments):
    """A fit with enough draws for closed forms; what is given overrides."""
    defaults = {"seed": 31, "progress": False, "iter": 3000, "warmup": 1000, "chains": 2}
    return bm.brm(formula, data=data, family=family, **{**defaults, **arguments})


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
RNG = np.random.default_rng(77)
N = 24
DATA = pd.DataFrame(
    {
        "x": RNG.normal(size=N),
        "o": RNG.normal(5, 2, N),
        "w": RNG.integers(1, 4, N).astype(float),
        "y": RNG.normal(3, 2, N),
        "count": RNG.poisson(3, N),
        "size": RNG.integers(5, 10, N),
        "g": np.repeat(["a", "b", "c", "d", "e", "f"], 4),
    }
)
DATA["hits"] = RNG.binomial(DATA["size"], 0.3)


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
    }


@pytest.mark.parametrize("name", exact_posteriors())
def test_posterior_in_closed_form(name):
    formula, family, priors, exact = exact_posteriors()[name]
    data = DATA
    if name == "replicated rows":
        data = DATA.loc[DATA.index.repeat(DATA["w"].astype(int))]
    fit = draw(formula, data, family, prior=priors)
    assert disagree(fit, exact) == []


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
    data = DATA.assign(h=np.tile(["p", "q", "r"], 8), x2=RNG.normal(size=N))
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


# ---- sampler arguments -----------------------------------------------------------------------------------------
FORMULA = "y ~ x + (1 | g)"
SHORT = {"iter": 400, "warmup": 200, "control": {"adapt_delta": 0.9}}


@pytest.fixture(scope="module")
def short_fit():
    return draw(FORMULA, DATA, **SHORT)


def test_thin_keeps_every_third_draw(short_fit):
    thinned = draw(FORMULA, DATA, thin=3, **SHORT)
    assert thinned.ndraws == 2 * 67
    for name in ("b", "sigma", "r_g"):
        every = short_fit.idata.posterior[name].to_numpy()[:, ::3]
        np.testing.assert_array_equal(thinned.idata.posterior[name].to_numpy(), every)


def test_polars_and_arrow_data_give_the_same_draws(short_fit):
    import polars as pl

    for data in (pl.from_pandas(DATA), pl.from_pandas(DATA).to_arrow()):
        again = draw(FORMULA, data, **SHORT)
        pd.testing.assert_frame_equal(again.as_draws_df(), short_fit.as_draws_df())


START = {
    "Intercept": 3.5,
    "b": [0.25],
    "sd_g": [1.25],
    "sigma": 2.5,
    "z_g": np.linspace(-1, 1, 6)[:, None],
}
INITS = {
    "a dict": START,
    "a dict for each chain": [START, {**START, "sigma": 1.0}],
    "a function": lambda: START,
}


@pytest.mark.parametrize("form", INITS)
def test_chains_start_where_init_says(form):
    """On the parameters' natural scales; checked by taking the flat vector back through the program."""
    from bayesmlm.bayes import prepare, sampler_settings, specification
    from bayesmlm.inference.x64 import x64
    from bayesmlm.model.initial import initial_values

    spec = specification(prepare(FORMULA, DATA), None)
    settings = initial_values(spec, sampler_settings(2, 20, None, 1, None, 1, None), INITS[form])
    with x64():
        for chain in range(2):
            values = spec.program.constrain(settings.init[chain], spec.program.data)
            expected = INITS[form][chain] if isinstance(INITS[form], list) else START
            for name in ("Intercept", "b", "sd_g", "sigma"):
                np.testing.assert_allclose(values[name], expected[name], rtol=1e-12)
            np.testing.assert_allclose(values["r_g"], 1.25 * START["z_g"], rtol=1e-12)


@pytest.mark.parametrize("init", [0, "0", "random", 0.5, {"sigma": 2.0}, [{}, START], lambda: {"b": [0.1]}])
def test_every_form_of_init_samples(init):
    fit = draw(FORMULA, DATA, init=init, **SHORT)
    # Wherever they start, 200 iterations of warm-up lead to where the data are.
    assert fit.posterior_epred().mean() == pytest.approx(DATA["y"].mean(), abs=0.3)


def test_a_run_stopped_and_resumed_equals_one_that_was_not(tmp_path):
    arguments = {"iter": 12_000, "warmup": 2000, "chains": 2, "control": {"adapt_delta": 0.9}}
    whole = draw(FORMULA, DATA, **arguments)

    def part(resume):
        """The fit, complete or not; None if the time was over within warm-up."""
        try:
            return draw(
                FORMULA, DATA, checkpoint=tmp_path / "run", resume=resume, time_budget=0.7, **arguments
            )
        except bm.SamplingError as error:
            if "resume=True" not in str(error):
                raise
            return None

    again, stopped = part(resume=False), 0
    while again is None or not again.complete:
        again, stopped = part(resume=True), stopped + 1
    assert stopped > 0
    pd.testing.assert_frame_equal(again.as_draws_df(), whole.as_draws_df())


def test_time_budget_returns_the_draws_there_are(short_fit):
    # Compiled by then: the budget is spent on sampling. So many iterations take minutes.
    fit = draw(FORMULA, DATA, iter=2_000_000, warmup=200, control={"adapt_delta": 0.9}, time_budget=3)
    assert not fit.complete
    assert 0 < fit.ndraws < 2 * 1_999_800
    assert fit.as_draws_df("b_x")["b_x"].notna().all()
