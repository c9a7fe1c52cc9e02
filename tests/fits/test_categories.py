"""Models of categories, counts and shares: programs, priors, draws and predictions; a posterior against brms."""

from __future__ import annotations

import jax
import numpy as np
import pandas as pd
import pytest
from numpyro.infer.util import potential_energy

import bayesmlm as bm
from bayesmlm.bayes import prepare, specification
from bayesmlm.results.convergence import mcse_mean

from ..support import reference
from .tolerances import FACTOR, disagreements


def simulated(rows: int = 60, groups: int = 6) -> pd.DataFrame:
    """Categories ``y``, counts ``u v w`` out of 8, shares ``p q r``, with a predictor and groups."""
    rng = np.random.default_rng(11)
    x, g = rng.normal(size=rows), np.arange(rows) % groups
    eta = np.stack([np.zeros(rows), 0.3 + 0.5 * x, -0.4 - x])
    probability = (np.exp(eta) / np.exp(eta).sum(axis=0)).T
    y = [rng.choice(["a", "B b", "c_d"], p=p) for p in probability]
    counts = np.array([rng.multinomial(8, p) for p in probability])
    shares = np.array([rng.dirichlet(9 * p) for p in probability])
    columns = {"x": x, "g": g, "y": pd.Categorical(y, categories=["a", "B b", "c_d"]), "n": 8}
    columns |= dict(zip("uvw", counts.T, strict=True)) | dict(zip("pqr", shares.T, strict=True))
    return pd.DataFrame(columns)


DATA = simulated()
MODELS = {
    "categorical": (bm.bf("y ~ x + (x |i| g)", "mucd ~ 1 + (1 |i| g)"), "categorical"),
    "no reference": ("y ~ x", "categorical(refcat = 'NA')"),
    "multinomial": ("cbind(u, v, w) | trials(n) ~ x + (1 | g)", "multinomial(refcat = 'v')"),
    "dirichlet_multinomial": (bm.bf("cbind(u, v, w) | trials(n) ~ x", "phi ~ x"), "dirichlet_multinomial"),
    "dirichlet": ("cbind(p, q, r) ~ x + (1 | g)", "dirichlet"),
    "dirichlet2": (bm.bf("cbind(p, q, r) | weights(n) ~ x", muq=2), "dirichlet2('softplus')"),
    "logistic_normal": (bm.bf("cbind(p, q, r) ~ x + (1 |i| g)", "sigmaq ~ (1 |i| g)"), "logistic_normal"),
}


def spec_of(name, prior=None):
    formula, family = MODELS[name]
    return specification(prepare(formula, DATA, family), prior)


@pytest.mark.parametrize("name", ["categorical", "dirichlet2", "logistic_normal"])
def test_potential_is_that_of_the_numpyro_model(name):
    spec = spec_of(name)
    structure = spec.structure
    with jax.enable_x64(True):
        q = np.random.default_rng(1).normal(0, 0.3, structure.dimension)
        ours = jax.jit(structure.potential)(q, spec.data)
        theirs = jax.jit(lambda q: potential_energy(structure.model, (spec.data,), {}, structure.unravel(q)))(
            q
        )
    assert float(ours) == pytest.approx(float(theirs), rel=1e-12)


def test_names_of_draws_are_those_of_brms():
    names = spec_of("categorical").coordinate_names()
    expected = ["Intercept_muBb", "b_muBb_x", "Intercept_mucd", "sd_g__muBb_Intercept", "sd_g__muBb_x"]
    expected += [
        "sd_g__mucd_Intercept",
        "cor_g__muBb_Intercept__muBb_x",
        "cor_g__muBb_Intercept__mucd_Intercept",
    ]
    assert [name for name in names if not name.startswith("r_")][: len(expected)] == expected
    assert "r_g[0,mucd_Intercept]" in names
    assert [n for n in spec_of("logistic_normal").coordinate_names() if n.startswith("lncor")] == [
        "lncor__q__r"
    ]


PRIORS = {  # get_prior of brms 2.18: class, coef, group, dpar, prior, lb
    ("cbind(p, q, r) ~ x", "dirichlet"): """
        b . . . . .|Intercept . . . . .|phi . . . gamma(0.01, 0.01) 0|b . . muq . .|b x . muq . .
        Intercept . . muq student_t(3, 0, 2.5) .|b . . mur . .|b x . mur . .
        Intercept . . mur student_t(3, 0, 2.5) .""",
    ("cbind(p, q, r) ~ 1", "logistic_normal"): """
        Intercept . . . . .|lncor . . . lkj(1) .|sigmaq . . . student_t(3, 0, 2.5) 0
        sigmar . . . student_t(3, 0, 2.5) 0|Intercept . . muq student_t(3, 0, 2.5) .
        Intercept . . mur student_t(3, 0, 2.5) .""",
    ("cbind(p, q, r) ~ 1 + (1 | g)", "dirichlet2"): """
        Intercept . . . . .|Intercept . . mup student_t(3, 0, 2.5) .|sd . . mup student_t(3, 0, 2.5) 0
        sd . g mup . .|sd Intercept g mup . .|Intercept . . muq student_t(3, 0, 2.5) .
        sd . . muq student_t(3, 0, 2.5) 0|sd . g muq . .|sd Intercept g muq . .
        Intercept . . mur student_t(3, 0, 2.5) .|sd . . mur student_t(3, 0, 2.5) 0|sd . g mur . .
        sd Intercept g mur . .""",
    ("y ~ 1", "categorical(refcat = 'B b')"): """
        Intercept . . . . .|Intercept . . mua student_t(3, 0, 2.5) .|Intercept . . mucd student_t(3, 0, 2.5) .""",
}


@pytest.mark.parametrize("model", PRIORS, ids=lambda m: m[1])
def test_default_priors_are_those_of_brms(model):
    table = bm.default_prior(model[0], DATA, model[1])
    rows = [(r.class_, r.coef, r.group, r.dpar, r.prior, r.lb or "") for r in table]
    text = [part.strip() for line in PRIORS[model].strip().splitlines() for part in line.split("|")]
    expected = []
    for part in text:
        first, coef, group, dpar, *prior, lb = part.split(" ")
        expected.append(
            tuple("" if cell == "." else cell for cell in (first, coef, group, dpar, " ".join(prior), lb))
        )
    assert rows == expected


def test_default_priors_of_the_inhaler_model_are_those_of_brms():
    data = bm.load_dataset("inhaler")
    tables = reference("brms_default_priors_A")["tables"]
    expected = next(t for t in tables if t["family"] == "categorical()")
    assert (
        bm.default_prior(expected["formula"], data, "categorical").to_frame().to_dict("list")
        == expected["prior_table"]
    )


def test_priors_of_all_categories_and_of_one():
    """Without a dpar a prior of class b or Intercept is for every category, unless one has its own; as in brms."""
    priors = bm.set_prior("normal(0, 2)", class_="b") + bm.set_prior("normal(0, 1)", class_="b", dpar="muBb")
    resolved = specification(prepare("y ~ x", DATA, "categorical"), priors).priors
    assert resolved.vector("b", "muBb", coefs=("x",)).describe() == ("normal(0, 1)",)
    assert resolved.vector("b", "mucd", coefs=("x",)).describe() == ("normal(0, 2)",)
    assert resolved.vector("Intercept", "mucd").describe() == ("student_t(3, 0, 2.5)",)
    spec = spec_of("logistic_normal", bm.set_prior("lkj(3)", class_="lncor"))
    assert [site.text for site in spec.structure.sites if site.name == "L_lncor"] == ["lkj(3)"]
    with pytest.raises(bm.PriorError, match="the prior of correlations is lkj"):
        spec_of("logistic_normal", bm.set_prior("normal(0, 1)", class_="lncor"))


def test_standata_of_several_columns():
    data = bm.standata("cbind(u, v, w) | trials(n) ~ x", DATA, "multinomial")
    assert data["ncat"] == 3
    assert data["Y"].tolist() == DATA[["u", "v", "w"]].to_numpy().tolist()
    assert data["X_muv"].tolist() == data["X_muw"].tolist()
    coded = bm.standata("y ~ 1", DATA, "categorical")
    assert coded["Y"].tolist() == (DATA["y"].cat.codes + 1).tolist()


@pytest.fixture(scope="module")
def inhaler_fit():
    """The model of the reference, as long as brms's default run."""
    priors = [bm.set_prior("normal(0, 2)", class_="b", dpar=f"mu{k}") for k in (2, 3, 4)]
    data = bm.load_dataset("inhaler")
    return bm.brm("rating ~ treat + period", data, "categorical", priors, seed=3, progress=False)


def test_inhaler_posterior_agrees_with_brms(inhaler_fit):
    expected = reference("brms_inhaler_categorical")
    assert disagreements(inhaler_fit, expected) == []
    loo = inhaler_fit.loo().estimates
    for row, estimate, se in zip(
        *(expected["loo"]["estimates"][c] for c in ("rownames", "Estimate", "SE")), strict=True
    ):
        # The Monte Carlo error of brms's own elpd_loo is 0.026, of ours (a quarter of the draws) about 0.05.
        assert loo.loc[row].to_list() == pytest.approx(
            [estimate, se], abs=5 * np.hypot(0.026, 0.05) * 2, rel=2e-3
        )
    for category, head in expected["posterior_epred_head"].items():
        rows = len(head["Estimate"])
        epred = inhaler_fit.posterior_epred()[:, :rows, int(category) - 1].T
        draws = epred.reshape(rows, inhaler_fit.nchains, -1)
        # 16 000 draws of the reference, whose least effective sample size is 12 000.
        error = np.hypot(mcse_mean(draws), np.array(head["Est.Error"]) / np.sqrt(12_000))
        assert (np.abs(draws.mean(axis=(1, 2)) - head["Estimate"]) <= FACTOR * error).all()


def test_tables_and_predictions_by_category(inhaler_fit):
    fit, rows = inhaler_fit, 572
    assert list(fit.fixef().index)[:4] == ["mu2_Intercept", "mu3_Intercept", "mu4_Intercept", "mu2_treat"]
    epred = fit.posterior_epred(ndraws=50)
    assert epred.shape == (50, rows, 4)
    np.testing.assert_allclose(epred.sum(axis=2), 1, rtol=1e-12)
    linear = fit.posterior_linpred(ndraws=50)
    assert linear.shape == (50, rows, 3)
    odds = np.log(epred[:, :, 1:] / epred[:, :, :1])
    np.testing.assert_allclose(linear, odds, atol=1e-9)
    np.testing.assert_array_equal(fit.posterior_linpred(ndraws=50, dpar="mu3"), linear[:, :, 1])
    # A softmax is of all linear predictors together: alone they stay as they are, as in brms.
    np.testing.assert_array_equal(fit.posterior_epred(ndraws=50, dpar="mu3"), linear[:, :, 1])
    np.testing.assert_array_equal(fit.posterior_linpred(ndraws=50, transform=True), epred)
    drawn = fit.posterior_predict(ndraws=50)
    assert set(np.unique(drawn)) <= {1, 2, 3, 4}
    shares = fit.predict(ndraws=50)
    assert list(shares.columns) == [f"P(Y = {k})" for k in (1, 2, 3, 4)]
    np.testing.assert_allclose(
        shares.to_numpy(), [[(drawn[:, i] == k).mean() for k in (1, 2, 3, 4)] for i in range(rows)]
    )
    table = fit.fitted(ndraws=50)
    np.testing.assert_allclose(table[("P(Y = 2)", "Estimate")], epred[:, :, 1].mean(axis=0))
    observed = fit.data["rating"].to_numpy().astype(int) - 1
    np.testing.assert_allclose(fit.log_lik(ndraws=50), np.log(epred[:, np.arange(rows), observed]), rtol=1e-9)
    effects = fit.conditional_effects("treat", categorical=True)["treat:cats__"]
    assert list(effects["cats__"].cat.categories) == ["1", "2", "3", "4"]
    for refused in (fit.residuals, fit.bayes_R2, fit.conditional_effects):
        with pytest.raises(bm.BayesmlmError):
            refused()


@pytest.mark.validate
def test_a_saved_fit_of_shares_predicts_as_before(tmp_path):
    """Names, correlations and the family's options survive; several columns are intervals, tables and panels."""
    family = bm.brmsfamily("logistic_normal", refcat="q")
    with pytest.warns(bm.ConvergenceWarning):
        fit = bm.brm(
            "cbind(p, q, r) ~ x", DATA, family, chains=1, iter=120, seed=1, progress=False, sample_prior="yes"
        )
    fit.save(tmp_path / "fit")
    again = bm.load(tmp_path / "fit")
    assert repr(again.family) == repr(family)
    assert again.family == fit.family
    assert "lncor__p__r" in again.variables()
    assert "prior_lncor__p__r" in again.variables()
    assert list(again.summary().spec_pars.index) == ["sigmap", "sigmar", "lncor(p,r)"]
    np.testing.assert_array_equal(again.posterior_predict(ndraws=5), fit.posterior_predict(ndraws=5))
    np.testing.assert_array_equal(again.log_lik(ndraws=5), fit.log_lik(ndraws=5))
    assert list(fit.predictive_interval(ndraws=20).columns)[:2] == [("p", "5%"), ("p", "95%")]
    tree = fit.to_datatree(posterior_predictive=True, ndraws=10)
    assert tree["posterior_predictive"]["cbind(p, q, r)"].shape == (1, 10, 60, 3)
    assert tree["observed_data"]["cbind(p, q, r)"].shape == (60, 3)
    assert len(fit.pp_check("dens_overlay", ndraws=5).axes) == 3
    with pytest.raises(bm.BayesmlmError, match="several columns"):
        fit.pp_check("hist")
