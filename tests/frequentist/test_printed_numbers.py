"""The numbers that courses in R print for their mixed models, to half a unit of the last printed digit.

`seed_comparison.json` lists them in the order of the texts. Rows that R itself does not reproduce (``agree`` false:
other versions, other tolerances) and those of other kinds of models are passed over. Texts print more digits than
lme4's default tolerance makes certain, so values are computed where its optimiser stopped; `test_lmer_references.py`
holds our optimum to a more exact one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any

import numpy as np
import pytest

import bayesmlm as bm

from ..support import reference
from .reference_fits import at_lme4

Values = Callable[[], Any]


def fit(name: str) -> Any:
    return at_lme4(f"seed{name}")


def sds(m: Any) -> Any:
    return m.VarCorr().loc[lambda t: t["var2"].isna(), "sdcor"].to_numpy(float)


def variances(m: Any) -> Any:
    return sds(m) ** 2


def se(m: Any) -> Any:
    return np.sqrt(np.diag(m.covariance))


def quantiles(m: Any) -> Any:
    return np.quantile(m.residuals("pearson", scaled=True), [0, 0.25, 0.5, 0.75, 1])


def table(m: Any, column: str, ddf: str = "satterthwaite") -> Any:
    return m.coef_table(ddf)[column].to_numpy()


def information(m: Any) -> Any:
    return [m.AIC(), m.BIC(), m.logLik(), m.deviance()]


def refitted(*names: str) -> Any:
    return bm.anova(*(fit(name) for name in names))


INT, INT_ML, BOTH = "000_crlv_int_REML", "000_crlv_int_ML", ("000_model_no_crlv_REML", "000_crlv_int_REML")
SCHOOL, NESTED = "001_mathkind_school", "001_mathkind_school_class"
GAIN, GAINS = "001_mathgain_school", ("001_mathgain_school", "001_mathgain_school_class")
FULL, FIT7 = "001_mathgain_ses_mathknow", "001_fit7_insample"

PRINTED: dict[str, list[tuple[str, Values]]] = {
    "000": [
        ("vcov(m_lv2)", lambda: fit("000_m_lv2").covariance[[0, 0, 1], [0, 1, 1]]),
        ("se(m_lv2)", lambda: se(fit("000_m_lv2"))),
        ("getME(m1,y) head", lambda: fit("000_m1_hsball_ranslope").getME("y")[:6]),
        ("dim Z", lambda: fit("000_m1_hsball_ranslope").getME("Z").shape),
        ("fixef crlv_int REML", lambda: fit(INT).beta),
        ("se REML", lambda: se(fit(INT))),
        ("KR se", lambda: table(fit(INT), "Std. Error", "kenward-roger")),
        ("KR df", lambda: table(fit(INT), "df", "kenward-roger")),
        ("KR t", lambda: table(fit(INT), "t value", "kenward-roger")),
        ("KR p", lambda: table(fit(INT), "Pr(>|t|)", "kenward-roger")),
        ("REMLcrit", lambda: [fit(INT).criterion]),
        ("VarCorr variances", lambda: variances(fit(INT))),
        ("VarCorr sd", lambda: sds(fit(INT))),
        ("scaled resid", lambda: quantiles(fit(INT))),
        ("R2m,R2c (MuMIn in boot_r2)", lambda: fit(INT).r2()),
        ("AIC BIC REML", lambda: information(fit(INT))[:2]),
        ("RMSE", lambda: [fit(INT).rmse()]),
        ("anova LRT AIC", lambda: refitted(*BOTH)["AIC"]),
        ("anova BIC", lambda: refitted(*BOTH)["BIC"]),
        ("anova logLik", lambda: refitted(*BOTH)["logLik"]),
        ("anova deviance", lambda: refitted(*BOTH)["deviance"]),
        ("anova KR SumSq", lambda: fit(INT).anova(ddf="kenward-roger")["Sum Sq"]),
        ("anova KR DenDF", lambda: fit(INT).anova(ddf="kenward-roger")["DenDF"]),
        ("ML fixef", lambda: fit(INT_ML).beta),
        ("ML se", lambda: se(fit(INT_ML))),
        ("ML sd", lambda: sds(fit(INT_ML))),
        ("ML RMSE", lambda: [fit(INT_ML).rmse()]),
        ("ranova logLik", lambda: fit("000_ran_slp").ranova()["logLik"]),
        ("ranova AIC", lambda: fit("000_ran_slp").ranova()["AIC"]),
        ("get_vc(ran_slp)", lambda: fit("000_ran_slp").VarCorr()["vcov"]),
    ],
    "001": [
        ("mathkind|school REML", lambda: [fit(SCHOOL).criterion]),
        ("var", lambda: variances(fit(SCHOOL))[:1]),
        ("sd", lambda: sds(fit(SCHOOL))),
        ("coef", lambda: fit(SCHOOL).beta),
        ("se", lambda: se(fit(SCHOOL))),
        ("Satt df", lambda: table(fit(SCHOOL), "df")),
        ("t", lambda: table(fit(SCHOOL), "t value")),
        ("scaled resid", lambda: quantiles(fit(SCHOOL))),
        ("nested REML", lambda: [fit(NESTED).criterion]),
        ("nested var", lambda: variances(fit(NESTED))),
        ("nested coef", lambda: fit(NESTED).beta),
        ("nested se", lambda: se(fit(NESTED))),
        ("nested df", lambda: table(fit(NESTED), "df")),
        ("nested t", lambda: table(fit(NESTED), "t value")),
        ("nested resid", lambda: quantiles(fit(NESTED))),
        ("ranova school logLik", lambda: fit(GAIN).ranova()["logLik"]),
        ("AIC", lambda: fit(GAIN).ranova()["AIC"]),
        ("LRT", lambda: fit(GAIN).ranova()["LRT"][1:]),
        ("anova refit=F logLik", lambda: [fit(name).logLik() for name in GAINS]),
        ("deviance", lambda: [fit(name).criterion for name in GAINS]),
        ("BIC", lambda: [fit(name).BIC() for name in GAINS]),
        ("ranova nested LRT", lambda: fit(GAINS[1]).ranova()["LRT"][1:]),
        ("ranova nested p", lambda: fit(GAINS[1]).ranova()["Pr(>Chisq)"][1:]),
        ("fit4/fit8 REML", lambda: [fit(FULL).criterion]),
        ("var", lambda: variances(fit(FULL))),
        ("coef", lambda: fit(FULL).beta),
        ("se", lambda: se(fit(FULL))),
        ("df", lambda: table(fit(FULL), "df")),
        ("t", lambda: table(fit(FULL), "t value")),
        ("p", lambda: table(fit(FULL), "Pr(>|t|)")[1:]),
        ("n", lambda: [fit(FULL).n]),
        ("ngrps", lambda: fit(FULL).ngrps.values()),
        ("fit7 REML", lambda: [fit(FIT7).criterion]),
        ("fit7 var", lambda: variances(fit(FIT7))),
        ("fit7 coef,se,df,t", lambda: fit(FIT7).coef_table().iloc[0, :4]),
        ("fit7/fit8 ML logLik", lambda: refitted(FIT7, FULL)["logLik"]),
        ("AIC", lambda: refitted(FIT7, FULL)["AIC"]),
        ("BIC", lambda: refitted(FIT7, FULL)["BIC"]),
        ("Chisq", lambda: refitted(FIT7, FULL)["Chisq"][1:]),
        ("p", lambda: refitted(FIT7, FULL)["Pr(>Chisq)"][1:]),
    ],
    "002": [
        ("ri REML", lambda: [fit("002_ri_mod").criterion]),
        ("ri var", lambda: variances(fit("002_ri_mod"))),
        ("ri coef", lambda: fit("002_ri_mod").beta),
        ("ri se", lambda: se(fit("002_ri_mod"))),
        ("ri resid", lambda: quantiles(fit("002_ri_mod"))),
        ("full REML", lambda: [fit("002_condition_slope").criterion]),
        ("full coef", lambda: fit("002_condition_slope").beta),
        ("full se", lambda: se(fit("002_condition_slope"))),
        ("full resid", lambda: quantiles(fit("002_condition_slope"))),
        ("my_data REML", lambda: [fit("002_my_data").criterion]),
        ("my_data coef se df t", lambda: fit("002_my_data").coef_table().iloc[:, :4].T.to_numpy().ravel()),
        ("my_data p", lambda: table(fit("002_my_data"), "Pr(>|t|)")),
    ],
    "003": [
        ("fit.1 AIC..", lambda: information(fit("003_fit1_ML"))),
        ("fit.1 resid", lambda: quantiles(fit("003_fit1_ML"))),
        ("fit.2", lambda: fit("003_fit2_ML").beta),
        ("fit.2 se", lambda: se(fit("003_fit2_ML"))),
        ("fit.2 AIC..", lambda: information(fit("003_fit2_ML"))),
    ],
    "004": [
        (
            "REML",
            lambda: [
                fit(f"004_{name}").criterion for name in ("ri", "ris", "ris_implicit", "slope_only", "uncorr")
            ],
        ),
        ("ri", lambda: [*fit("004_ri").beta, *se(fit("004_ri")), *variances(fit("004_ri"))]),
        (
            "slope only",
            lambda: [
                *fit("004_slope_only").beta,
                *se(fit("004_slope_only")),
                *variances(fit("004_slope_only")),
            ],
        ),
        ("uncorr", lambda: [*fit("004_uncorr").beta, *se(fit("004_uncorr")), *variances(fit("004_uncorr"))]),
    ],
}


def rows() -> Iterator[Any]:
    """For each entry of PRINTED the rows of the file that carry its label, in the order of both."""
    for doc, entries in PRINTED.items():
        own = [row for row in reference("seed_comparison")["rows"] if row["doc"] == doc]
        groups = [(key, list(g)) for key, g in groupby(own, lambda row: row["what"].rsplit("[", 1)[0])]
        place = 0
        for number, (label, compute) in enumerate(entries):
            while groups[place][0] != label:
                place += 1
            yield pytest.param(groups[place][1], compute, id=f"{doc}-{number}-{label}")
            place += 1


@pytest.mark.parametrize(("printed", "compute"), list(rows()))
def test_printed_number(printed: list[dict[str, Any]], compute: Values) -> None:
    found = list(np.asarray(list(compute()), dtype=float))
    assert len(found) == len(printed)
    for row, ours in zip(printed, found, strict=True):
        if row["agree"]:
            assert ours == pytest.approx(float(row["seed"]), abs=row["printed_tol"])
