"""Coordinates of group effects: the map against dense algebra, the density against the change of variables, the
choice against what the data are made to say."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import bayesmlm as bm
from bayesmlm.bayes import prepare, specification
from bayesmlm.model.parameterisation import parameterise
from bayesmlm.model.whitening import standardised, whitened
from bayesmlm.model.working_fit import working_fit

from ..compiling import quickly

MODELS = {
    "one": ("incidence | trials(size) ~ period + (1 | herd)", "binomial", "cbpp"),
    "two": ("count ~ zAge + zBase * Trt + (1 | patient) + (1 | obs)", "poisson", "epilepsy"),
    "correlated": ("count ~ zAge + (1 + zAge | patient)", "negbinomial", "epilepsy"),
    "independent": ("count ~ 0 + Trt + (1 + zBase || patient)", "poisson", "epilepsy"),
    "by": ("count ~ zAge + (1 + zBase | gr(patient, by = Trt))", "negbinomial", "epilepsy"),
    "no coefficients": ("Reaction ~ 0 + (1 + Days | Subject)", "student", "sleepstudy"),
    "sigma too": (
        bm.bf("Reaction ~ Days + (Days | Subject)", "sigma ~ (1 | Subject)"),
        "gaussian",
        "sleepstudy",
    ),
}


def spec_of(name, parameterisation="auto"):
    formula, family, data = MODELS[name]
    design = prepare(formula, bm.load_dataset(data), family)
    return specification(design, None, marginalize=False, parameterisation=parameterisation)


@pytest.mark.parametrize(
    ("name", "kind"), [*((name, "partial") for name in MODELS), ("one", "centred"), ("correlated", "centred")]
)
def test_the_density_differs_by_the_jacobian_only(name, kind):
    """Posterior densities in both coordinates, and the determinant of the map between them by differentiation."""
    plain = spec_of(name, "noncentred")
    groups = {b.group: kind for b in plain.design.blocks} if name != "sigma too" else "auto"
    spec = spec_of(name, groups)
    q = np.random.default_rng(1).normal(0, 0.3, spec.structure.dimension)

    @quickly
    def evaluate(q, data, plain_data):
        coordinates = spec.structure.whiten(q, data)
        slopes = jax.jacfwd(spec.structure.whiten)(q, data)
        ours = spec.structure.potential(coordinates, data), spec.structure.constrain(coordinates, data)
        theirs = plain.structure.potential(q, plain_data), plain.structure.constrain(q, plain_data)
        return coordinates, slopes, ours, theirs

    with jax.enable_x64(True):
        found = jax.device_get(evaluate(q, spec.data, plain.data))
    coordinates, slopes, (ours, stored), (theirs, plain_stored) = found
    assert np.abs(coordinates - q).max() > 0.1
    for part, value in plain_stored.items():
        np.testing.assert_allclose(stored[part], value, rtol=1e-8, atol=1e-8)
    assert float(ours) == pytest.approx(float(theirs) + np.linalg.slogdet(slopes)[1], rel=1e-10)


def test_the_map_is_the_conditional_posterior_of_a_normal_likelihood():
    """zeta = 0 is the conditional mean of the effects, and steps in zeta are a root of their covariance."""
    rng = np.random.default_rng(2)
    k, q, levels = 3, 2, 4
    Z = rng.normal(size=(levels, 7, k))
    X, y = rng.normal(size=(levels, 7, q)), rng.normal(size=(levels, 7))
    beta, T = rng.normal(size=q), np.linalg.cholesky(np.cov(rng.normal(size=(k, 9))))
    cross = {"H": Z, "K": X, "h": y[:, :, None]}
    arrays = {name: np.moveaxis(np.einsum("jni,jnm->jim", Z, a), 0, -1) for name, a in cross.items()}
    information = {**arrays, "h": arrays["h"][:, 0], "scale": 1.0}

    @quickly
    def evaluate(zeta):
        def effects(zeta):
            return standardised(zeta, T, beta, information)[0] @ T.T

        z = standardised(zeta, T, beta, information)[0]
        back = whitened(z, T, beta, information)
        return back, effects(jnp.zeros((levels, k))), jax.jacfwd(effects)(zeta)

    zeta = rng.normal(size=(levels, k))
    with jax.enable_x64(True):
        back, mean, slope = jax.device_get(evaluate(zeta))
    np.testing.assert_allclose(back, zeta, rtol=1e-10)
    for j in range(levels):
        covariance = np.linalg.inv(Z[j].T @ Z[j] + np.linalg.inv(T @ T.T))
        np.testing.assert_allclose(mean[j], covariance @ Z[j].T @ (y[j] - X[j] @ beta), rtol=1e-9)
        np.testing.assert_allclose(slope[j, :, j] @ slope[j, :, j].T, covariance, rtol=1e-9)


def groups_of(rows, levels, sd, seed=3):
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(levels), rows)
    eta = -0.5 + rng.normal(0, sd, levels)[g]
    return pd.DataFrame({"y": rng.binomial(1, 1 / (1 + np.exp(-eta))), "g": g})


@pytest.mark.parametrize(("rows", "kind"), [(1, "noncentred"), (300, "partial")])
def test_auto_follows_how_much_the_rows_of_a_level_say(rows, kind):
    (choice,) = parameterise(prepare("y ~ 1 + (1 | g)", groups_of(rows, 30, 0.8), "bernoulli"))
    assert choice.kind == kind


def test_shares_of_information_are_those_of_a_normal_model():
    """Balanced one-way data: 1 - MSW / MSB, the REML estimate of n / (n + sigma^2 / sd^2)."""
    rng = np.random.default_rng(4)
    g = np.repeat(np.arange(300), 5)
    data = pd.DataFrame({"y": rng.normal(0, 2, 1500) + rng.normal(0, 1, 300)[g], "g": g})
    means = data.groupby("g")["y"].mean().to_numpy()
    within = np.sum((data["y"] - means[g]) ** 2) / (1500 - 300)
    fit = working_fit(prepare("y ~ 1 + (1 | g)", data), [0])
    # The degrees of freedom of sigma are approximate in the rough fit.
    assert np.mean(fit.blocks[0].share()) == pytest.approx(1 - within / (5 * means.var(ddof=1)), abs=0.01)


def test_the_rough_fit_is_near_the_one_of_lme4():
    """glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial): sd 0.6423, beta as below."""
    formula, family, data = MODELS["one"]
    fit = working_fit(prepare(formula, bm.load_dataset(data), family), [0])
    # Penalised quasi-likelihood is biased by a few hundredths here.
    assert np.sqrt(fit.blocks[0].variances) == pytest.approx(0.6423, abs=0.05)
    assert fit.beta[1:] == pytest.approx([-0.9919, -1.1282, -1.5797], abs=0.05)


def test_the_specification_says_what_and_why():
    text = repr(spec_of("two", {"obs": "noncentred"}))
    assert "partial (the data give " in text
    assert "non-centred (asked for)" in text
    assert "non-centred (effects on sigma)" in repr(spec_of("sigma too"))
    sleepstudy = bm.load_dataset("sleepstudy")
    only = specification(prepare("Reaction ~ (1 | Subject)", sleepstudy), None, "only")
    assert "non-centred (the likelihood is left out)" in repr(only)


WRONG = {
    "a word": ("centered", 'one of "auto", "noncentred", "partial", "centred"'),
    "a number": (0.5, "one of"),
    "a group": ({"pupil": "centred"}, "`pupil`, which the model does not have; its groups: `herd`"),
    "a word for a group": ({"herd": "half"}, "got 'half'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_requests_are_refused_in_words(case):
    asked, words = WRONG[case]
    with pytest.raises(bm.BayesmlmError, match="parameterisation") as caught:
        spec_of("one", asked)
    assert words in str(caught.value)


def test_effects_on_other_parameters_cannot_be_centred():
    with pytest.raises(bm.BayesmlmError, match=r'parameterisation="centred".*`Subject`: effects on sigma'):
        spec_of("sigma too", "centred")


def test_numbers_are_arguments():
    """Other data of the same shape, and centred in place of partial, have the same program."""
    data = bm.load_dataset("cbpp")
    formula, family, _ = MODELS["one"]
    other = data.assign(incidence=data["size"] - data["incidence"])
    keys = {
        specification(prepare(formula, d, family), None, parameterisation=kind).program.key
        for d in (data, other)
        for kind in ("partial", "centred")
    }
    assert len(keys) == 1
    assert spec_of("one", "noncentred").program.key not in keys


@pytest.mark.validate
@pytest.mark.filterwarnings("ignore::bayesmlm.ConvergenceWarning")
def test_fits_agree_and_give_their_draws_back():
    """The same posterior from all three; draws lead back to the coordinates and the density they came from."""
    from bayesmlm.results.unconstrain import Evaluator, unconstrained_draws

    formula, family, data = MODELS["one"]
    means = {}
    for kind in ("noncentred", "partial", "centred"):
        fit = bm.brm(
            formula,
            bm.load_dataset(data),
            family,
            parameterisation=kind,
            chains=2,
            iter=3000,
            seed=5,
            progress=False,
        )
        summary = fit.as_draws_df()[["b_Intercept", "b_period2", "sd_herd__Intercept", "r_herd[1,Intercept]"]]
        means[kind] = summary.mean()
        sds = summary.std()
        q = unconstrained_draws(fit)[::100]
        lp = fit.idata.sample_stats["lp"].to_numpy().reshape(-1)[::100]
        np.testing.assert_allclose(Evaluator(fit).log_posterior(q), lp, rtol=1e-8)
    # 3000 draws, of which at least some 800 effective: standard error of a standardised mean below 0.035.
    for kind in ("partial", "centred"):
        np.testing.assert_allclose((means[kind] - means["noncentred"]) / sds, 0.0, atol=0.15)
