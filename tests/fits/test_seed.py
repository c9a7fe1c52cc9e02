"""The seed model, beyond its posterior: criteria, predictions, effects, layout, saving. Numbers are brms's."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayesmlm as bm

from ..support import reference
from .conftest import SEED_FORMULA

BRMS = reference("brms_seed_hsbsub_crlv_int")


def test_loo_waic_and_r2_agree_with_brms(seed_long_fit):
    loo, waic = seed_long_fit.loo(), seed_long_fit.waic()
    for name, ours in (("loo", loo), ("waic", waic)):
        theirs = dict(
            zip(BRMS[name]["estimates"]["rownames"], BRMS[name]["estimates"]["Estimate"], strict=True)
        )
        for row, value in theirs.items():
            # looic and waic are -2 elpd: twice the tolerance.
            tolerance = 0.15 if row.startswith(("elpd", "p_")) else 0.3
            assert ours.estimates.loc[row, "Estimate"] == pytest.approx(value, abs=tolerance), row
        errors = BRMS[name]["estimates"]["SE"]
        np.testing.assert_allclose(ours.estimates["SE"], errors, rtol=0.02)
        pointwise = np.asarray(BRMS[name]["pointwise_elpd"])
        np.testing.assert_allclose(ours.pointwise[f"elpd_{name}"], pointwise, atol=0.03)
    r2 = seed_long_fit.bayes_R2()
    assert r2["Estimate"].item() == pytest.approx(BRMS["bayes_R2"]["Estimate"], abs=0.002)
    assert r2["Est.Error"].item() == pytest.approx(BRMS["bayes_R2"]["Est.Error"], rel=0.05)


@pytest.mark.parametrize(
    ("key", "re_formula"), [("posterior_epred_head", None), ("posterior_epred_re_NA_head", "NA")]
)
def test_expected_responses_agree_with_brms(seed_fit, key, re_formula):
    head = BRMS[key]
    ours = seed_fit.posterior_epred(re_formula=re_formula)[:, : len(head["Estimate"])]
    sd = np.asarray(head["Est.Error"])
    # Some 1200 effective draws or more: 5 standard errors of a mean are 0.14 sd, of an sd 0.1 of it.
    np.testing.assert_allclose((ours.mean(axis=0) - head["Estimate"]) / sd, 0, atol=0.14)
    np.testing.assert_allclose(ours.std(axis=0) / sd, 1, atol=0.1)


@pytest.mark.parametrize("effect", ["meanses", "sector", "ses_cmc", "sector:ses_cmc"])
def test_conditional_effects_agree_with_brms(seed_long_fit, effect):
    compare_effects(seed_long_fit.conditional_effects()[effect], BRMS["conditional_effects"][effect], effect)


def test_the_seed_course_plots_the_interaction(seed_long_fit):
    name = "ses_cmc:sector"
    compare_effects(
        seed_long_fit.conditional_effects(name)[name], BRMS["interaction_grid_seed_plot"][name], name
    )


def compare_effects(ours, theirs, effect):
    theirs = pd.DataFrame(theirs)
    for variable in effect.split(":"):
        np.testing.assert_allclose(ours[variable], theirs[variable], rtol=1e-10, atol=1e-10)
    se = theirs["se__"]
    assert (np.abs(ours["estimate__"] - theirs["estimate__"]) / se).max() < 0.05
    for bound in ("lower__", "upper__"):
        assert (np.abs(ours[bound] - theirs[bound]) / se).max() < 0.1


def test_group_level_tables_agree_with_brms(seed_fit):
    ranef, coef = seed_fit.ranef(), seed_fit.coef()
    assert list(ranef.columns) == ["group", "level", "coef", "Estimate", "Est.Error", "Q2.5", "Q97.5"]
    for table, key in ((ranef, "ranef"), (coef, "coef")):
        for name, expected in BRMS[key]["id"].items():
            ours = table[table["coef"] == name].set_index("level").loc[expected["rownames"]]
            sd = np.asarray(expected["Est.Error"])
            np.testing.assert_allclose((ours["Estimate"] - expected["Estimate"]) / sd, 0, atol=0.14)
            np.testing.assert_allclose(ours["Est.Error"] / sd, 1, atol=0.1)
    varcorr = seed_fit.VarCorr()
    assert list(varcorr.columns) == [
        "group",
        "kind",
        "coef1",
        "coef2",
        "Estimate",
        "Est.Error",
        "Q2.5",
        "Q97.5",
    ]
    assert set(varcorr["kind"]) == {"sd", "cor", "cov"}


def test_tree_layout_is_fixed(seed_fit):
    tree = seed_fit.idata
    posterior = tree["posterior"].dataset
    dims = {
        "b": ("coef",),
        "b_Intercept": (),
        "Intercept": (),
        "sd_id": ("id_coef",),
        "cor_id": ("id_pair",),
        "r_id": ("id_level", "id_coef"),
        "sigma": (),
    }
    assert {n: posterior[n].dims[2:] for n in posterior.data_vars} == dims
    assert posterior["coef"].values.tolist() == ["meanses", "sector", "ses_cmc", "sector:ses_cmc"]
    assert posterior["id_pair"].values.tolist() == ["Intercept__ses_cmc"]
    assert set(tree.children) == {"posterior", "sample_stats", "observed_data", "constant_data", "log_prior"}
    assert {"lp", "diverging", "energy", "tree_depth", "n_steps", "step_size", "acceptance_rate"} <= set(
        tree["sample_stats"].dataset.data_vars
    )
    names = list(seed_fit.as_draws_df().columns)
    assert names[:5] == ["b_Intercept", "b_meanses", "b_sector", "b_ses_cmc", "b_sector:ses_cmc"]
    assert names[5:9] == ["sd_id__Intercept", "sd_id__ses_cmc", "cor_id__Intercept__ses_cmc", "sigma"]
    assert "r_id[2030,ses_cmc]" in names


def test_training_data_as_new_data_predict_the_same(seed_fit):
    data = bm.load_dataset("hsbsub")
    np.testing.assert_allclose(
        seed_fit.posterior_epred(data, ndraws=50), seed_fit.posterior_epred(ndraws=50), rtol=1e-10
    )
    np.testing.assert_allclose(seed_fit.log_lik(data, ndraws=50), seed_fit.log_lik(ndraws=50), rtol=1e-10)


def test_new_levels(seed_fit):
    new = bm.load_dataset("hsbsub").iloc[:3].assign(id="a new school")
    with pytest.raises(bm.NewDataError, match=r"a new school.*row 1"):
        seed_fit.posterior_epred(new)
    sd = np.sqrt((seed_fit.as_draws_df("sd_id__Intercept")["sd_id__Intercept"] ** 2).mean())
    fixed = seed_fit.posterior_epred(new, re_formula="NA")
    for how in ("uncertainty", "gaussian", "old_levels"):
        drawn = seed_fit.posterior_epred(new, allow_new_levels=True, sample_new_levels=how)
        assert drawn.shape == fixed.shape
        if how == "gaussian":
            assert (drawn - fixed)[:, 1].std() == pytest.approx(sd, rel=0.15)


def test_predictive_draws_have_the_model_s_spread(seed_fit):
    drawn, expected = seed_fit.posterior_predict(), seed_fit.posterior_epred()
    sigma = seed_fit.as_draws_df("sigma")["sigma"]
    residual = drawn - expected
    assert residual.mean() == pytest.approx(0, abs=0.02)
    assert residual.std() == pytest.approx(np.sqrt((sigma**2).mean()), rel=0.01)


def test_saving_and_loading_give_the_same_fit(seed_fit, tmp_path):
    seed_fit.save(tmp_path / "fit.nc")
    again = bm.load(tmp_path / "fit.nc")
    assert (tmp_path / "fit.nc").exists()
    pd.testing.assert_frame_equal(again.as_draws_df(), seed_fit.as_draws_df())
    assert str(again.summary()) == str(seed_fit.summary())
    np.testing.assert_array_equal(again.posterior_epred(ndraws=20), seed_fit.posterior_epred(ndraws=20))
    assert not list(tmp_path.glob(".*"))


def test_same_seed_same_draws_whatever_the_cores_and_other_data_compile_nothing():
    from bayesmlm.inference.compile_cache import compilations

    data = bm.load_dataset("hsbsub")
    arguments = {"chains": 2, "iter": 200, "seed": 7, "progress": False}
    first = bm.brm(SEED_FORMULA, data=data, cores=1, **arguments)
    before = compilations()
    second = bm.brm(SEED_FORMULA, data=data, cores=2, **arguments)
    shuffled = data.assign(mathach=data["mathach"].to_numpy()[::-1] + 1.0)
    bm.brm(SEED_FORMULA, data=shuffled, prior=None, **arguments)
    assert compilations() == before
    pd.testing.assert_frame_equal(first.as_draws_df(), second.as_draws_df())


def test_update_refits_with_other_data_and_formula(seed_fit):
    data = bm.load_dataset("hsbsub")
    smaller = seed_fit.update(
        ". ~ . - sector:ses_cmc", newdata=data.iloc[:300], chains=1, iter=50, progress=False
    )
    assert smaller.nobs == 300
    assert list(smaller.fixef().index) == ["Intercept", "meanses", "sector", "ses_cmc"]


def test_file_is_reused_and_refitted_on_change(tmp_path):
    data = bm.load_dataset("sleepstudy")
    arguments = {
        "chains": 1,
        "iter": 50,
        "progress": False,
        "file": tmp_path / "cached",
        "file_refit": "on_change",
    }
    first = bm.brm("Reaction ~ Days", data=data, seed=1, **arguments)
    second = bm.brm("Reaction ~ Days", data=data, seed=2, **arguments)
    pd.testing.assert_frame_equal(first.as_draws_df(), second.as_draws_df())
    third = bm.brm("Reaction ~ Days", data=data.iloc[:90], seed=1, **arguments)
    assert third.nobs == 90


@pytest.mark.validate
def test_the_model_runs_in_numpyro():
    import jax
    from numpyro.infer import MCMC, NUTS

    data = bm.load_dataset("sleepstudy")
    fit = bm.brm("Reaction ~ Days + (1 | Subject)", data, chains=1, iter=20, seed=1, progress=False)
    with jax.enable_x64(True):
        mcmc = MCMC(NUTS(fit.model), num_warmup=5, num_samples=5, progress_bar=False)
        mcmc.run(jax.random.key(0))
    assert mcmc.get_samples()["r_Subject"].shape == (5, 18, 1)


def test_the_model_prints(seed_fit):
    code = seed_fit.model_code
    compile(code, "model", "exec")
    assert "LKJCholesky(2, 1)" in code
    text = str(seed_fit.spec)
    assert "student_t(3, 14.1, 7.6)" in text
    assert "(flat)" in text
    assert seed_fit.spec._repr_latex_().startswith("$$")


def test_timings_and_integrated(seed_fit):
    t = seed_fit.timings
    assert min(t.setup, t.compile, t.warmup, t.draws, t.after) >= 0
    assert t.draws > 0
    assert seed_fit.integrated == ("ses_cmc | id",)
    assert seed_fit.nuts_params()["Parameter"].nunique() == 6
