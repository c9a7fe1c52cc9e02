"""The models of `generalised_tables.json`, fitted once for all tests that read them."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

import pandas as pd

import bayesmlm as bm

from ..support import local_data, reference

if TYPE_CHECKING:
    from bayesmlm.frequentist.generalised_fit import GeneralisedFit

TABLES = reference("generalised_tables")
LME4: dict[str, dict[str, Any]] = TABLES["lme4"]
GLMMTMB: dict[str, dict[str, Any]] = TABLES["glmmTMB"]
NAMES = tuple(LME4)

EPILEPSY = "count ~ zAge + zBase * Trt + (1 | patient)"
SALAMANDERS = "count ~ spp * mined + (1 | site)"
FORMULAS: dict[str, tuple[tuple[str, ...], str]] = {
    "zip": ((EPILEPSY, "zi ~ 1"), "zero_inflated_poisson"),
    "disp": ((EPILEPSY, "shape ~ Trt"), "negbinomial"),
    "zinb": ((SALAMANDERS, "zi ~ mined + (1 | site)"), "zero_inflated_negbinomial"),
}


def data(name: str) -> pd.DataFrame:
    """A data set of the package."""
    return bm.load_dataset(name)


@cache
def salamanders() -> pd.DataFrame:
    """glmmTMB's data, with factor levels as in `make_generalised_tables.R`."""
    rows = local_data("Salamanders")
    rows["mined"] = pd.Categorical(rows["mined"].astype(str), categories=["no", "yes"])
    rows["spp"] = pd.Categorical(rows["spp"].astype(str), categories=sorted(set(rows["spp"].astype(str))))
    return rows


@cache
def fitted(name: str) -> GeneralisedFit:
    """lme4's model called ``name``."""
    spec = LME4[name]
    family = name if name == "negbinomial" else spec["family"]
    return bm.glmer(
        spec["formula"], data(spec["data"]), family=f"{family}('{spec['link']}')", nAGQ=spec["nAGQ"]
    )


@cache
def fitted_parts(name: str) -> GeneralisedFit:
    """glmmTMB's model called ``name``."""
    formulas, family = FORMULAS[name]
    rows = salamanders() if name == "zinb" else data("epilepsy")
    return bm.glmer(bm.bf(*formulas), rows, family=family, laplace="observed")


def columns(table: dict[str, Any]) -> pd.DataFrame:
    """A table of the reference file, missing values as NaN or None."""
    given = {name: values if isinstance(values, list) else [values] for name, values in table.items()}
    return pd.DataFrame(given)


def same_print(ours: str, theirs: str, slack: float = 3e-4) -> bool:
    """Whether two printed lines have the same layout, and numbers that differ by one unit of the last digit at most, or
    by ``slack`` of their size: R's optimiser stops short of the optimum and differences give it its Hessian, from which
    standard errors are right to about three digits."""
    ours, theirs = ours.rstrip(), theirs.rstrip()
    if re.sub(r"\d", "0", ours) != re.sub(r"\d", "0", theirs):
        return False
    number = re.compile(r"\d+(?:\.(\d+))?(?:e([-+]\d+))?")
    for a, b in zip(number.finditer(ours), number.finditer(theirs), strict=True):
        unit = 10.0 ** (int(b[2] or 0) - len(b[1] or ""))
        allowed = max(1.01 * unit, slack * float(b[0])) if b[1] else 0.0
        if abs(float(a[0]) - float(b[0])) > allowed:
            return False
    return True
