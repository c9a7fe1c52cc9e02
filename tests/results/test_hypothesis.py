"""Hypotheses: against brms 2.18 (make_hypothesis.R, and the long run of the seed model) and closed forms."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import ndtri

import bayesmlm as bm
from bayesmlm.results.hypothesis import density_ratio, hypothesis

from .helpers import reference

BRMS = json.loads((Path(__file__).parent / "brms_hypothesis.json").read_text())
I = np.arange(1, 1001)  # noqa: E741
LEVEL = "r_g[new.york,Intercept]"


def draws() -> pd.DataFrame:
    """The draws of make_hypothesis.R."""
    return pd.DataFrame(
        {
            "b_x": 0.3 + 0.2 * ndtri((I - 0.5) / 1000),
            "b_x:z": ndtri(((7 * I) % 1000 + 0.5) / 1000),
            LEVEL: 1 + ndtri(((11 * I) % 1000 + 0.5) / 1000),
        }
    )


ASKED = {
    "1": "b_x > 0",
    "2": "b_x:z = 0",
    "3": "exp(b_x) - b_x:z + b_x < 3.5",
    "long_enough_to_be_cut_off": "b_x < 5",
    "5": "b_x = 2 * b_x",
    "6": f"-b_x:z < 3 * `{LEVEL}` - b_x:z^2",
    "7": f"{LEVEL} - b_x > .1",
}


@pytest.mark.parametrize("robust", [False, True])
def test_tables_are_those_of_brms(robust: bool) -> None:
    found = hypothesis(draws(), list(ASKED.values()), alpha=0.1, robust=robust).table
    given = BRMS["robust" if robust else "plain"]
    labels = list(given["Hypothesis"])
    labels[3] = "(b_x)-(5) < 0"  # named there
    assert found["Hypothesis"].tolist() == labels
    for name in ("Estimate", "Est.Error", "CI.Lower", "CI.Upper", "Evid.Ratio", "Post.Prob"):
        expected = np.array([np.nan if x is None else float(x) for x in given[name]])
        # brms's mad() multiplies by 1.4826, and its normal quantiles agree to 1e-9.
        np.testing.assert_allclose(found[name], expected, rtol=1e-7, atol=1e-8, err_msg=name)
    assert found["Star"].tolist() == given["Star"]


def test_print_is_that_of_brms() -> None:
    named = {f"h{i}": text for i, text in enumerate(ASKED.values())}
    found = hypothesis(draws(), named)
    assert found.table["Hypothesis"].tolist() == list(named)
    labels = hypothesis(draws(), list(ASKED.values())).table["Hypothesis"].to_numpy(copy=True)
    labels[3] = "long_enough_to_be_cut_off"
    found.table["Hypothesis"] = labels
    assert str(found).splitlines() == BRMS["text"]


def test_density_ratio_is_that_of_brms() -> None:
    prior = 2 * ndtri(((13 * I) % 1000 + 0.5) / 1000)
    x, xz = draws()["b_x"].to_numpy(), draws()["b_x:z"].to_numpy()
    found = [density_ratio(posterior, prior) for posterior in (x, xz, x + 0.2)]
    # R sums the kernels on a grid of 4096 points and interpolates.
    np.testing.assert_allclose(found, BRMS["density_ratio"], rtol=1e-3)
    width = min(x.std(ddof=1), np.subtract(*np.quantile(x, [0.75, 0.25])) / 1.34) * 0.9 * 1000**-0.2
    kernels = stats.gaussian_kde(x, bw_method=width / x.std(ddof=1))
    assert density_ratio(x, xz) == pytest.approx(
        kernels(0)[0] * density_ratio(xz, xz) / density(xz), rel=1e-9
    )


def density(values: np.ndarray) -> float:
    width = min(values.std(ddof=1), np.subtract(*np.quantile(values, [0.75, 0.25])) / 1.34) * 0.9 * 1000**-0.2
    return stats.gaussian_kde(values, bw_method=width / values.std(ddof=1))(0)[0]


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("b_x", bm.FormulaError, "has the form"),
        ("b_x > 0 > 1", bm.FormulaError, "has the form"),
        ("b_x >= 0", bm.FormulaError, "has the form"),
        ("1 > 0", bm.FormulaError, "at least one parameter"),
        ("b_x + > 0", bm.FormulaError, r"\^"),
        ("b_y > 0", bm.BayesmlmError, r"no parameter `b_y`; did you mean `b_x`"),
        ("system(b_x) > 0", bm.FormulaError, "`system` is not known"),
        ("__import__('os') > 0", bm.FormulaError, "cannot start with `_`"),
        ("b_x.__class__ > 0", bm.BayesmlmError, "no parameter `b_x.__class__`"),
    ],
)
def test_what_is_no_hypothesis_is_refused(text: str, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        hypothesis(draws(), text)


@pytest.fixture(scope="module")
def normal_fit() -> bm.BayesFit:
    data = pd.DataFrame({"y": np.random.default_rng(4).normal(0.1, 1, 40)})
    prior = [bm.set_prior("normal(0, 1)", class_="b"), bm.set_prior("constant(1)", class_="sigma")]
    return bm.brm(
        "y ~ 0 + Intercept", data=data, prior=prior, sample_prior="yes", iter=6000, seed=1, progress=False
    )


def test_savage_dickey_ratio_of_a_conjugate_model(normal_fit: bm.BayesFit) -> None:
    y = normal_fit.data["y"].to_numpy()
    mean, sd = y.sum() / 41, 41**-0.5  # prior N(0, 1), known sigma 1
    exact = stats.norm.pdf(0, mean, sd) / stats.norm.pdf(0)
    found = normal_fit.hypothesis(["Intercept = 0", "Intercept > 0"])
    # Kernel smoothing widens a normal density by about 1 %; 12 000 draws leave another 2 %.
    assert found.table["Evid.Ratio"][0] == pytest.approx(exact, rel=0.05)
    assert found.table["Post.Prob"][0] == pytest.approx(exact / (1 + exact), rel=0.05)
    assert found.table["Post.Prob"][1] == pytest.approx(stats.norm.sf(0, mean, sd), abs=0.02)
    assert found.samples.shape == found.prior_samples.shape == (12_000, 2)
    assert found.class_ == "b"
    assert normal_fit.hypothesis("b_Intercept = 0", class_="").table["Evid.Ratio"][0] == pytest.approx(
        found.table["Evid.Ratio"][0]
    )


def test_prior_draws_follow_the_prior(normal_fit: bm.BayesFit) -> None:
    found = normal_fit.prior_draws()
    assert "b_Intercept" in found
    assert stats.kstest(found["b_Intercept"], "norm").pvalue > 0.001
    assert list(normal_fit.prior_draws("b_Intercept")) == ["b_Intercept"]
    with pytest.raises(bm.BayesmlmError, match="no prior draws of `b_x`"):
        normal_fit.prior_draws("b_x")


@pytest.fixture(scope="module")
def seed_fit() -> bm.BayesFit:
    formula = "mathach ~ meanses + sector * ses_cmc + (ses_cmc | id)"
    control = {"adapt_delta": 0.95}
    return bm.brm(formula, data=bm.load_dataset("hsbsub"), seed=1, control=control, progress=False)


def test_seed_model_agrees_with_brms(seed_fit: bm.BayesFit) -> None:
    given = reference("brms_seed_hsbsub_crlv_int")["hypothesis"]
    asked = ["ses_cmc > 0", "sector:ses_cmc = 0", "ses_cmc + sector:ses_cmc > 0", "meanses = 5"]
    found = seed_fit.hypothesis(asked).table
    assert found["Hypothesis"].tolist() == given["Hypothesis"]
    assert found["Star"].tolist() == given["Star"]
    sd = np.array(given["Est.Error"])
    # At least 1000 effective draws: five standard errors are 0.16 sd of a mean, 11 % of an sd, and at the 5 % and
    # 2.5 % quantiles, where a normal density is low, about 0.4 sd.
    np.testing.assert_allclose((found["Estimate"] - given["Estimate"]) / sd, 0, atol=0.16)
    np.testing.assert_allclose(found["Est.Error"] / sd, 1, atol=0.11)
    for bound in ("CI.Lower", "CI.Upper"):
        np.testing.assert_allclose((found[bound] - given[bound]) / sd, 0, atol=0.4)
    # Of 4000 draws at most a handful have the other sign.
    assert (found["Post.Prob"][[0, 2]] > 0.997).all()
    assert found[["Evid.Ratio", "Post.Prob"]].iloc[[1, 3]].isna().all(axis=None)


def test_classes_groups_and_scopes(seed_fit: bm.BayesFit) -> None:
    draws = seed_fit.as_draws_df()
    found = seed_fit.hypothesis("Intercept > ses_cmc", class_="sd", group="id")
    expected = draws["sd_id__Intercept"] - draws["sd_id__ses_cmc"]
    np.testing.assert_allclose(found.samples["H1"], expected)
    assert found.class_ == "sd_id"
    whole = seed_fit.hypothesis("sd_id__Intercept^2 / (sd_id__Intercept^2 + sigma^2) > 0.1", class_="")
    icc = draws["sd_id__Intercept"] ** 2 / (draws["sd_id__Intercept"] ** 2 + draws["sigma"] ** 2)
    np.testing.assert_allclose(whole.samples["H1"], icc - 0.1)
    for scope, table in (("ranef", seed_fit.ranef()), ("coef", seed_fit.coef())):
        levels = seed_fit.hypothesis("ses_cmc > 1", scope=scope, group="id").table
        own = table[table["coef"] == "ses_cmc"]
        assert levels.columns[0] == "Group"
        assert levels["Group"].tolist() == own["level"].tolist()
        np.testing.assert_allclose(levels["Estimate"], own["Estimate"] - 1)
        np.testing.assert_allclose(levels["Est.Error"], own["Est.Error"])
    with pytest.raises(bm.BayesmlmError, match="group must be one of id"):
        seed_fit.hypothesis("ses_cmc > 1", scope="ranef", group="school")
    with pytest.raises(bm.BayesmlmError, match="`sigma` is the full name of a parameter"):
        seed_fit.hypothesis("sigma > 1")
