"""Families of categories, counts and shares: densities and slopes in 60 digits, brms's own functions, draws, means."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from bayesmlm.families import (
    FAMILIES,
    FamilyError,
    brmsfamily,
    categorical,
    dirichlet,
    logistic_normal,
    multinomial,
)
from bayesmlm.families.base import Family
from bayesmlm.families.registry import family as as_family

from ..compiling import quickly
from ..support import reference

CASES = reference("category_densities")
NAMES = ("categorical", "multinomial", "dirichlet_multinomial", "dirichlet", "dirichlet2", "logistic_normal")
LETTERS = ("a", "b", "c", "d", "e")


def of_three(name: str, size: int = 3) -> Family:
    return FAMILIES[name].adapt(LETTERS[:size])


def parameters_of(adapted: Family, etas, others) -> dict:
    """What the family's functions take: etas (predicted categories, rows), further parameters by row."""
    p = {f"eta_{name}": eta for name, eta in zip(adapted.main, etas, strict=True)}
    p |= dict(zip(adapted.main, etas, strict=True))
    if "phi" in adapted.links:
        p["phi"] = others[0]
    if adapted.name == "logistic_normal":
        first, second, rho = others
        p |= {"sigmab": first, "sigmac": second}
        # One correlation for all rows, as the program has it.
        p["L_lncor"] = jnp.stack([jnp.stack([1.0, 0.0]), jnp.stack([rho[0], jnp.sqrt(1 - rho[0] ** 2)])])[
            :, :, None
        ]
    return p


def density_and_slopes(adapted: Family, y, etas, others, extra):
    def total(etas, others):
        terms = adapted.log_density(y, parameters_of(adapted, etas, others), extra)
        return jnp.sum(terms), terms

    (_, terms), slopes = jax.value_and_grad(total, argnums=(0, 1), has_aux=True)(etas, others)
    return terms, slopes


@pytest.mark.parametrize("name", NAMES)
def test_density_and_slopes_have_ten_digits(name):
    """Relative 1e-8 is asked for. By phi = 1e8 a dirichlet_multinomial's slope is a difference of terms 1e15 times as
    large, so slopes are held to their largest terms."""
    adapted, found = of_three(name), [case for case in CASES if case["family"] == name]
    groups = {tuple(case["others"][-1]) for case in found} if name == "logistic_normal" else {()}
    for group in groups:
        cases = [case for case in found if not group or tuple(case["others"][-1]) == group]
        with jax.enable_x64(True):
            y = np.array([case["y"] for case in cases], dtype=float).T
            extra = {"trials": y.sum(axis=0)} if adapted.required_additions else {}
            start = 0 if name == "dirichlet2" else 1
            etas = [np.array([case["eta"][k] for case in cases]) for k in range(start, 3)]
            flat = [[v for other in case["others"] for v in other] for case in cases]
            others = [np.array(column, dtype=float) for column in zip(*flat, strict=True)]
            terms, (by_eta, by_other) = quickly(partial(density_and_slopes, adapted))(y, etas, others, extra)
        expected = np.array([case["value"] for case in cases])
        np.testing.assert_allclose(terms, expected, rtol=1e-10, atol=1e-12 if name == "categorical" else 1e-9)
        slopes = np.array([case["slopes"] for case in cases])
        ours = np.stack([*by_eta, *by_other[:1]], axis=1)
        first = np.asarray(others[0]) if others else 1.0
        assert np.isfinite(ours).all()
        size = np.abs(slopes[:, : len(by_eta)]).max(axis=1, keepdims=True)
        for k in range(slopes.shape[1]):
            noise = 1e-10 * size[:, 0] if k < len(by_eta) else 1e-9 * (1 + np.abs(expected)) / first
            assert (np.abs(ours[:, k] - slopes[:, k]) <= 1e-8 * np.abs(slopes[:, k]) + noise + 1e-300).all()


@pytest.mark.parametrize("name", ["categorical", "multinomial", "dirichlet", "dirichlet2", "logistic_normal"])
def test_density_is_that_of_brms(name):
    """The second category is the reference: parameters are in the order of the others."""
    brms = reference("category_brms")
    options = {} if name == "dirichlet2" else {"refcat": "b"}
    adapted = brmsfamily(name, **options).adapt(("a", "b", "c"))
    assert adapted.main == (("mua", "mub", "muc") if name == "dirichlet2" else ("mua", "muc"))
    eta = np.array(brms["eta"]).T if name == "dirichlet2" else np.array(brms["eta"])[:, [0, 2]].T
    y = {"categorical": np.array([1.0, 2.0, 3.0]), "multinomial": np.array(brms["counts"]).T}
    expected = np.diag(brms["categorical"]) if name == "categorical" else brms[name]
    with jax.enable_x64(True):
        p = {f"eta_{mu}": jnp.asarray(e) for mu, e in zip(adapted.main, eta, strict=True)}
        p |= {mu: p[f"eta_{mu}"] for mu in adapted.main} | {"phi": jnp.asarray(brms["phi"])}
        p |= {f"sigma{k}": jnp.asarray(s) for k, s in zip("ac", brms["sigma"], strict=True)}
        rho = brms["rho"]
        p["L_lncor"] = jnp.array([[1.0, 0.0], [rho, np.sqrt(1 - rho**2)]])[:, :, None]
        response = jnp.asarray(y.get(name, np.array(brms["shares"]).T), dtype=float)
        extra = {"trials": response.sum(axis=0)}
        ours = quickly(lambda p: adapted.log_density(response, p, extra))(p)
    np.testing.assert_allclose(ours, expected, rtol=1e-12)


def test_third_derivatives_are_finite_where_a_category_is_certain():
    adapted = of_three("categorical")

    def value(eta):
        p = {"eta_mub": eta[None], "eta_muc": -eta[None], "mub": eta, "muc": eta}
        return adapted.log_density(jnp.array([1.0]), p, {})[0]

    with jax.enable_x64(True):
        third = quickly(jax.vmap(jax.grad(jax.grad(jax.grad(value)))))(
            jnp.array([-800.0, -40.0, 0.0, 1.3, 800.0])
        )
    assert np.isfinite(np.asarray(third)).all()


# ---- draws and means

DRAWS = 5_000
# Each test rejects a right sampler once in 10^4 keys; the key is fixed, so each has passed once and for all.
SIGNIFICANCE = 1e-4
ETA, PHI, TRIALS = (0.8, -1.1), 3.0, 12
PROBABILITY = np.exp([0, *ETA]) / np.exp([0, *ETA]).sum()


def draws_of(name: str, **further) -> np.ndarray:
    adapted = of_three(name)
    with jax.enable_x64(True):
        rows = np.zeros(DRAWS)
        etas = [rows + e for e in ((0.2, *ETA) if name == "dirichlet2" else ETA)]
        p = parameters_of(adapted, etas, [rows + v for v in further.get("others", ())])
        extra = {"trials": rows + TRIALS}
        moments = adapted.mean, adapted.variance

        @quickly
        def everything(p):
            first = [None if f is None else f(p, extra)[:, 0] for f in moments]
            return adapted.sample(jax.random.key(3), p, extra), *first

        drawn, mean, variance = (None if a is None else np.asarray(a) for a in everything(p))
    if name == "categorical":
        np.testing.assert_allclose(mean, PROBABILITY, rtol=1e-13)
        return drawn
    assert drawn.shape == (3, DRAWS)
    error = drawn.std(axis=1) / np.sqrt(DRAWS)
    assert (np.abs(drawn.mean(axis=1) - mean) <= stats.norm.isf(SIGNIFICANCE / 6) * error).all()
    if variance is not None:
        # The sample variance's own standard error, from the draws' fourth moment.
        deviation = (drawn - mean[:, None]) ** 2
        error = deviation.std(axis=1) / np.sqrt(DRAWS)
        assert (np.abs(deviation.mean(axis=1) - variance) <= stats.norm.isf(SIGNIFICANCE / 6) * error).all()
    return drawn


def counts_agree(drawn: np.ndarray, law) -> None:
    """Chi-square of whole numbers against ``law``, cells of expectation below 10 joined at the upper end."""
    cells = np.arange(TRIALS + 1)
    expected = DRAWS * law.pmf(cells)
    last = int(np.flatnonzero(np.cumsum(expected[::-1])[::-1] >= 10)[-1])
    joined = np.minimum(drawn, last)
    observed = np.bincount(joined.astype(int), minlength=last + 1)
    assert stats.chisquare(observed, [*expected[:last], expected[last:].sum()]).pvalue > SIGNIFICANCE


def test_categories_are_drawn_with_their_probabilities():
    drawn = draws_of("categorical")
    observed = [(drawn == k).sum() for k in (1, 2, 3)]
    assert stats.chisquare(observed, DRAWS * PROBABILITY).pvalue > SIGNIFICANCE


def test_multinomial_draws():
    drawn = draws_of("multinomial")
    assert (drawn.sum(axis=0) == TRIALS).all()
    for k in range(3):
        counts_agree(drawn[k], stats.binom(TRIALS, PROBABILITY[k]))
    # Given the first count the second is binomial again.
    chosen = drawn[1][drawn[0] == 4]
    p = PROBABILITY[1] / (1 - PROBABILITY[0])
    observed = np.bincount(chosen.astype(int), minlength=TRIALS - 3)
    expected = len(chosen) * stats.binom(TRIALS - 4, p).pmf(np.arange(TRIALS - 3))
    keep = expected >= 5
    observed = [*observed[keep], observed[~keep].sum()]
    assert stats.chisquare(observed, [*expected[keep], expected[~keep].sum()]).pvalue > SIGNIFICANCE


def test_dirichlet_multinomial_draws():
    drawn = draws_of("dirichlet_multinomial", others=(PHI,))
    assert (drawn.sum(axis=0) == TRIALS).all()
    for k in range(3):
        a = PHI * PROBABILITY[k]
        counts_agree(drawn[k], stats.betabinom(TRIALS, a, PHI - a))


def test_certain_categories_get_all_trials():
    adapted = of_three("multinomial")
    with jax.enable_x64(True):
        p = parameters_of(adapted, [jnp.array([-900.0, 900.0, 0.0]), jnp.array([-900.0, 0.0, 900.0])], [])
        extra = {"trials": jnp.array([5.0, 7.0, 0.0])}
        drawn = np.asarray(quickly(lambda p: adapted.sample(jax.random.key(1), p, extra))(p))
    assert drawn.T.tolist() == [[5, 0, 0], [0, 7, 0], [0, 0, 0]]


def test_shares_are_drawn_from_beta_distributions():
    drawn = draws_of("dirichlet", others=(PHI,))
    for k in range(3):
        a = PHI * PROBABILITY[k]
        assert stats.kstest(drawn[k], stats.beta(a, PHI - a).cdf).pvalue > SIGNIFICANCE
    drawn, a = draws_of("dirichlet2"), np.exp([0.2, *ETA])
    for k in range(3):
        assert stats.kstest(drawn[k], stats.beta(a[k], a.sum() - a[k]).cdf).pvalue > SIGNIFICANCE


def test_log_ratios_are_drawn_as_correlated_normals():
    drawn = draws_of("logistic_normal", others=(0.7, 1.6, -0.6))
    ratios = np.log(drawn[1:] / drawn[0])
    for values, mean, sd in zip(ratios, ETA, (0.7, 1.6), strict=True):
        assert stats.kstest(values, stats.norm(mean, sd).cdf).pvalue > SIGNIFICANCE
    # Fisher's transformation of the correlation is normal with variance 1 / (n - 3).
    z = (np.arctanh(np.corrcoef(ratios)[0, 1]) - np.arctanh(-0.6)) * np.sqrt(DRAWS - 3)
    assert 2 * stats.norm.sf(abs(z)) > SIGNIFICANCE


@pytest.mark.parametrize("size", [2, 3, 4, 5])
def test_mean_of_a_logistic_normal_response(size):
    """Against 200 000 draws by NumPy; up to three log ratios the quadrature's own error is far smaller."""
    rng = np.random.default_rng(size)
    eta, sigma = rng.normal(0, 1, size - 1), rng.uniform(0.3, 1.5, size - 1)
    L = np.linalg.cholesky(0.4 + 0.6 * np.eye(size - 1))
    adapted = of_three("logistic_normal", size)
    with jax.enable_x64(True):
        p = {f"eta_{mu}": jnp.asarray([e]) for mu, e in zip(adapted.main, eta, strict=True)}
        p |= {mu: p[f"eta_{mu}"] for mu in adapted.main}
        p |= {mu.replace("mu", "sigma"): jnp.asarray(s) for mu, s in zip(adapted.main, sigma, strict=True)}
        p["L_lncor"] = jnp.asarray(L)[:, :, None]
        ours = np.asarray(quickly(lambda p: adapted.mean(p, {}))(p))[:, 0]
    x = np.column_stack([np.zeros(200_000), eta + (rng.normal(size=(200_000, size - 1)) @ L.T) * sigma])
    shares = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    error = 4 * shares.std(axis=0) / np.sqrt(200_000) + (0 if size <= 4 else 1e-3)
    assert (np.abs(ours - shares.mean(axis=0)) <= error).all()
    assert ours.sum() == pytest.approx(1, abs=1e-12)


# ---- names and choices


def test_parameters_are_named_after_categories():
    adapted = categorical().adapt(("a", "B b", "c_d", "-10", "1.5"))
    assert adapted.main == ("muBb", "mucd", "mu10", "mu15")
    assert categorical(refcat="NA").adapt(("a", "b")).main == ("mua", "mub")
    assert categorical(refcat=float("nan")).adapt(("a", "b")).main == ("mua", "mub")
    assert multinomial(refcat="b").adapt(("a", "b", "c")).main == ("mua", "muc")
    assert categorical(refcat=2).adapt(("1", "2")).main == ("mu1",)
    assert [p.name for p in dirichlet().adapt(("a", "b", "c")).parameters] == ["mub", "muc", "phi"]
    names = [p.name for p in logistic_normal().adapt(("a", "b", "c")).parameters]
    assert names == ["mub", "muc", "sigmab", "sigmac"]


def test_one_log_ratio_has_no_correlations():
    assert logistic_normal().adapt(("a", "b")).parts == ()
    assert logistic_normal().adapt(("a", "b", "c")).parts == ("log_ratio_correlations",)


def test_an_adapted_family_is_saved_and_adapted_again_as_what_it_was_made_of():
    chosen = as_family("categorical(refcat = 'b')")
    adapted = chosen.adapt(("a", "b", "c"))
    assert adapted.adapt(("a", "b", "c")) == adapted
    assert adapted != chosen.adapt(("b", "a", "c"))
    assert adapted.adapt(("b", "x")).main == ("mux",)
    assert Family.from_json(adapted.to_json()) == chosen
    assert repr(adapted) == repr(chosen) == "categorical(link='logit', refcat='b')"


@pytest.mark.parametrize(
    ("choose", "message"),
    [
        (
            lambda: categorical(refcat="z").adapt(("a", "b")),
            "refcat is `z`, which is no category of the response; it has",
        ),
        (lambda: logistic_normal(refcat="NA"), "needs a reference category"),
        (lambda: categorical().adapt(("a", "b_c", "bc")), "`bc` and `b_c` would be called `mubc`"),
        (lambda: categorical().adapt(("a", "!", "c")), "the category `!` would be called `mu`"),
        (lambda: categorical(refcat=["a"]), 'the name of a category, or "NA" for none'),
        (lambda: categorical(link="probit"), "'probit' is not a link for `mu`"),
        (lambda: as_family("dirichlet2", refcat="a"), "takes no argument `refcat`"),
    ],
)
def test_wrong_choices_are_refused(choose, message):
    with pytest.raises(FamilyError, match=message.replace("(", r"\(")):
        choose()
