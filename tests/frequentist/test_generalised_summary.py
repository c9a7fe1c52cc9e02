"""``summary()`` and ``print()`` of generalised mixed models against what lme4 and glmmTMB print."""

from __future__ import annotations

import pytest

import bayesmlm as bm
from bayesmlm.errors import BayesmlmError

from .generalised_models import GLMMTMB, LME4, NAMES, data, fitted, fitted_parts, same_print

ELSEWHERE = ("   Data:", "Data:", "Control:", "optimizer (", "Model is nearly", " - Rescale")
"""Lines about R's call and about where its optimiser stopped."""


def _body(lines: list[str]) -> list[str]:
    return [line.rstrip() for line in lines if line.strip() and not line.startswith(ELSEWHERE)]


def _differing(found: list[str], wanted: list[str], slack: float = 3e-4) -> list[tuple[str, str]]:
    return [pair for pair in zip(found, wanted, strict=True) if not same_print(*pair, slack)]


def _without_criteria(lines: list[str]) -> list[str]:
    """With quadrature lme4 leaves out the family's constants."""
    at = next(i for i, line in enumerate(lines) if line.split()[:2] == ["AIC", "BIC"])
    rest = lines[at + 2 :]
    return [*lines[: at + 1], *(rest[1:] if rest[0].startswith("(without") else rest)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["summary", "print"])
def test_one_linear_predictor_prints_as_lme4(name: str, kind: str) -> None:
    m = fitted(name)
    found = _body((str(m.summary()) if kind == "summary" else str(m)).split("\n"))
    wanted = _body(LME4[name][kind])
    if name == "cbpp_nAGQ9":
        found, wanted = _without_criteria(found), _without_criteria(wanted)
    # glmer.nb's standard errors take the shape for known
    assert not _differing(found, wanted, 1e-3 if name == "negbinomial" else 3e-4)


def _renamed(lines: list[str], name: str) -> list[str]:
    """glmmTMB's text with our names of families and parameters."""
    swaps = {
        "zip": [(" Family: poisson  ( log )", " Family: zero_inflated_poisson  ( log ); zi = logit")],
        "disp": [(" Family: nbinom2  ( log )", " Family: negbinomial  ( log ); shape = log")],
        "zinb": [
            (" Family: nbinom2  ( log )", " Family: zero_inflated_negbinomial  ( log ); zi = logit"),
            ("parameter for nbinom2 family ():", "parameter for zero_inflated_negbinomial family (shape):"),
        ],
    }[name]
    out = []
    for line in lines:
        for ours, label in (("zi", "Zero inflation:"), ("shape", "Dispersion:")):
            if line.startswith(label):
                left, _, right = line.partition("~")
                line = f"{left[: -len(ours) - 1]}{ours} ~ {right}"
        for theirs, renamed in swaps:
            line = line.replace(theirs, renamed)
        out.append(line)
    return out


@pytest.mark.parametrize("name", list(GLMMTMB))
def test_several_parts_print_as_glmmtmb(name: str) -> None:
    m = fitted_parts(name)
    found = [line for line in _body(str(m.summary()).split("\n")) if not line.startswith("Laplace:")]
    assert not _differing(found, _renamed(_body(GLMMTMB[name]["summary"]), name))
    first, *found = [line for line in _body(str(m).split("\n")) if not line.startswith("Laplace:")]
    assert first.startswith(" Family: ")  # which glmmTMB leaves out here
    assert not _differing(found, _renamed(_body(GLMMTMB[name]["print"]), name))
    assert repr(m) == str(m)


def test_the_title_is_broken_as_in_r() -> None:
    summary = fitted("cbpp").summary()
    whole = "Generalized linear mixed model fit by maximum likelihood (Laplace Approximation) ['glmerMod']"
    assert summary.to_text(width=120).split("\n")[0] == whole
    assert summary.to_text(width=80).split("\n")[:2] == [
        "Generalized linear mixed model fit by maximum likelihood (Laplace",
        "  Approximation) [glmerMod]",
    ]
    lines = fitted("cbpp_nAGQ9").summary().to_text(width=120).split("\n")
    assert "(Adaptive Gauss-Hermite Quadrature, nAGQ = 9) ['glmerMod']" in lines[0]


def test_quadrature_says_what_lme4_leaves_out() -> None:
    spec = LME4["cbpp_nAGQ9"]
    (line,) = [x for x in str(fitted("cbpp_nAGQ9")).split("\n") if x.startswith("(without constants")]
    assert f"logLik {spec['logLik']:.4f}, deviance {-2 * spec['logLik']:.4f})" in line
    assert "(without" not in str(fitted("contraception").summary())  # single trials have no constants


def test_observed_information_is_named_where_it_makes_a_difference() -> None:
    line = "Laplace: observed information"
    formula = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
    probit, logit = (
        bm.glmer(formula, data("cbpp"), family=f"binomial('{link}')", laplace="observed")
        for link in ("probit", "logit")
    )
    assert line in str(probit.summary())
    assert line not in str(logit.summary())
    assert line not in str(fitted("cbpp_probit"))


def test_constants_that_are_not_predicted() -> None:
    """A zero-inflation probability has a table, as in glmmTMB, formula or not; a fixed shape is in the formulas."""
    plain = bm.glmer("count ~ zAge + (1 | patient)", data("epilepsy"), family="zero_inflated_poisson")
    text = str(plain.summary())
    assert "Zero inflation:      zi ~ 1" in text
    assert "Zero-inflation model:" in text
    assert list(plain.summary().constants) == ["zi"]
    fixed = bm.glmer(
        bm.bf("TICKS ~ YEAR + (1 | BROOD)", shape=2.5), data("grouseticks"), family="negbinomial"
    )
    assert " Family: Negative Binomial(2.5)  ( log )" in str(fixed.summary())


def test_what_can_be_read_off_a_summary() -> None:
    summary = fitted("cbpp").summary()
    assert list(summary.coefficients.columns) == ["Estimate", "Std. Error", "z value", "Pr(>|z|)"]
    assert list(summary.criterion.index) == ["AIC", "BIC", "logLik", "deviance", "df.resid"]
    assert [part.name for part in summary.parts] == ["mu"]
    assert list(summary.varcor["grp"]) == ["herd"]
    parts = fitted_parts("disp").summary().parts
    assert [part.title for part in parts] == ["Conditional model", "Dispersion model"]


def test_correlations_on_demand() -> None:
    title = "Correlation of Fixed Effects:"
    assert title in str(fitted("cbpp").summary())
    assert title not in str(fitted("cbpp").summary(correlation=False))
    assert title not in fitted("cbpp").summary().to_text(correlation=False)
    assert title not in str(fitted_parts("zip").summary())
    assert title in str(fitted_parts("zip").summary(correlation=True))


def test_html_is_escaped() -> None:
    page = fitted("sleep_gamma").summary()._repr_html_()
    assert "&lt;2e-16" in page
    assert "<2e-16" not in page
    assert "Fixed effects" in page
    assert "(1 | herd)" in fitted("cbpp")._repr_html_()
    assert "Zero-inflation model" in fitted_parts("zip").summary()._repr_html_()


def test_singular_and_unfinished_fits_say_so() -> None:
    rows = data("cbpp").assign(incidence=[1, 0] * 28, size=9)
    m = bm.glmer(
        "incidence | trials(size) ~ 1 + (1 | herd)",
        rows,
        family="binomial",
        control={"check_conv_singular": "ignore"},
    )
    for text in (str(m), str(m.summary())):
        assert "boundary (singular) fit: see help('isSingular')" in text


def test_a_response_of_many_levels_is_a_warning_about_the_data() -> None:
    rows = data("Contraception").iloc[:400]
    m = bm.glmer("livch ~ age + (1 | district)", rows, family="binomial")
    lines = str(m.summary()).split("\n")
    at = lines.index("fit warnings:")
    assert lines[at + 1].startswith("the response `livch` has 4 levels: `0` is failure")


def test_a_hessian_that_is_not_there() -> None:
    with pytest.raises(BayesmlmError, match="with nAGQ=0 the coefficients are found with the effects"):
        fitted("cbpp_nAGQ0").summary(use_hessian=True)
