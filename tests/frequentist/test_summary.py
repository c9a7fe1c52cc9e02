"""``summary()`` and ``print()`` of mixed models against what lmerTest and lme4 print."""

from __future__ import annotations

import pytest

import bayesmlm as bm
from bayesmlm.errors import BayesmlmError
from bayesmlm.frequentist.abbreviate import abbreviate

from ..support import reference
from .summary_models import NAMES, fitted, same_print

DDF = {"summary": "satterthwaite", "summary_lme4": "lme4", "summary_kr": "kenward-roger"}


def _body(lines: list[str]) -> list[str]:
    """The lines below the call, without empty lines; what says where R's optimiser stopped is left out."""
    heads = ("Formula:", "   Data:", "Weights:", "Control:")
    last = max(i for i, line in enumerate(lines) if line.startswith(heads))
    kept = [line for line in lines[last + 1 :] if line.strip()]
    return [line for line in kept if not line.startswith(("optimizer (", "boundary (singular)"))]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", list(DDF))
def test_summary_prints_what_r_prints(name: str, kind: str) -> None:
    theirs = reference("lmer_summaries")[name].get(kind)
    if not theirs:
        return
    ours = str(fitted(name).summary(DDF[kind])).split("\n")
    found, wanted = _body(ours), _body(theirs)
    if name == "many":
        # R says this as a message, which is not part of the printed text.
        at = next(i for i, line in enumerate(found) if line.startswith("Correlation matrix not shown"))
        del found[at : at + 3]
    differing = [pair for pair in zip(found, wanted, strict=True) if not same_print(*pair)]
    assert not differing


@pytest.mark.parametrize("name", NAMES)
def test_print_of_a_fit(name: str) -> None:
    m = fitted(name)
    theirs = reference("lmer_summaries")[name]["print"]
    pairs = zip(_body(str(m).split("\n")), _body(theirs), strict=True)
    assert not [pair for pair in pairs if not same_print(*pair)]
    assert str(m).split("\n")[0] == theirs[0]
    assert repr(m) == str(m)


@pytest.mark.parametrize(
    ("name", "ddf", "title"),
    [
        ("slope", "satterthwaite", "REML. t-tests use Satterthwaite's method ['lmerModLmerTest']"),
        ("slope", "Kenward-Roger", "REML. t-tests use Kenward-Roger's method ['lmerModLmerTest']"),
        ("slope", "lme4", "REML ['lmerMod']"),
        (
            "slope_ML",
            "satterthwaite",
            "maximum likelihood . t-tests use Satterthwaite's method ['lmerModLmerTest']",
        ),
        ("no_fixed", "lme4", "maximum likelihood  ['lmerMod']"),
    ],
    ids=["slope", "kenward_roger", "lme4", "ml", "no_fixed"],
)
def test_title_and_call(name: str, ddf: str, title: str) -> None:
    lines = str(fitted(name).summary(ddf)).split("\n")
    assert lines[0] == f"Linear mixed model fit by {title}"
    assert lines[1].startswith("Formula: ")


def test_weights_that_have_a_name_are_shown() -> None:
    assert "Weights: w" in str(fitted("weighted")).split("\n")


def test_singular_fits_say_so() -> None:
    for text in (str(fitted("singular")), str(fitted("singular").summary())):
        assert "boundary (singular) fit: see help('isSingular')" in text


def test_correlations_on_demand() -> None:
    summary = fitted("many").summary("lme4")
    assert "Correlation of Fixed Effects:" in summary.to_text(correlation=True)
    assert "Correlation" not in fitted("slope").summary("lme4").to_text(correlation=False)
    lines = summary.to_text(correlation=True).split("\n")
    assert max(len(line) for line in lines) <= 81


def test_what_can_be_read_off_a_summary() -> None:
    summary = fitted("slope_ML").summary()
    assert list(summary.coefficients.columns) == ["Estimate", "Std. Error", "df", "t value", "Pr(>|t|)"]
    assert list(summary.criterion.index) == ["AIC", "BIC", "logLik", "deviance", "df.resid"]
    assert list(fitted("slope").summary().criterion.index) == ["REML"]
    assert summary.ngrps == {"Subject": 18}


def test_html_is_escaped() -> None:
    page = fitted("slope").summary()._repr_html_()
    assert "&lt; 2e-16" in page
    assert "< 2e-16" not in page
    assert "Satterthwaite&#x27;s" in page
    assert "(Days | Subject)" in fitted("slope")._repr_html_()
    assert "Fixed effects" not in fitted("no_fixed").summary()._repr_html_()
    assert "Signif. codes" not in fitted("slope").summary("lme4")._repr_html_()


def test_unknown_degrees_of_freedom() -> None:
    with pytest.raises(BayesmlmError, match="ddf must be one of 'satterthwaite', 'kenward-roger', 'lme4'"):
        fitted("slope").summary("between-within")
    with pytest.raises(BayesmlmError, match="REML"):
        fitted("slope_ML").summary("kenward-roger")


def test_abbreviate_is_rs() -> None:
    known = reference("lmer_summaries")["abbreviate"]
    assert abbreviate(known["words"], 6) == known["six"]
    assert abbreviate(known["words"], 11) == known["eleven"]
    # Made alike by the first cut, told apart by the next (R: abbreviate(c("recipeBxa", "recipeBxe"), 6)).
    assert len(set(abbreviate(["recipeBxa", "recipeBxe"], 6))) == 2


def test_a_call_with_a_subset_and_an_offset_shows_them() -> None:
    sleep = bm.load_dataset("sleepstudy")
    m = bm.lmer("Reaction ~ 1 + (1 | Subject)", sleep, subset="Days > 1", offset="Days")
    assert str(m.summary("lme4")).split("\n")[2:4] == [" Offset: Days", " Subset: Days > 1"]
