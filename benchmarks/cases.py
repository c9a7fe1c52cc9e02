"""What is fitted: the models of the benchmark as two tables of data, and simulated data by name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pandas as pd

Part = Literal["lmer", "glmer", "bayes"]

EVERYONE = ("bayesmlm", "lme4", "statsmodels", "interlace", "bossanova")
QUICK_ONES = ("bayesmlm", "lme4", "interlace")
QUICKEST = ("bayesmlm", "lme4")
LAPLACE = ("bayesmlm", "lme4", "glmmTMB")
BAYESIANS = ("bayesmlm", "brms", "bambi+nutpie", "bambi+pymc", "bambi+numpyro", "numpyro")
SLOPES = "y ~ x + (x | g)"
YES_NO = "y ~ x + (1 | g)"


@dataclass(frozen=True)
class Case:
    """One model on one data set. ``source``: a data set's name or a `Simulated`; ``sweep``: which curve of the
    plot it is a point of ("rows" or "groups"); ``memory``: report the peak too; ``quick``: part of --quick;
    ``limit``: seconds after which a fit is given up."""

    name: str
    part: Part
    formula: str
    source: str | Simulated
    peers: tuple[str, ...]
    family: str = "gaussian"
    sweep: str | None = None
    memory: bool = False
    quick: bool = False
    limit: float = 300


@dataclass(frozen=True)
class Simulated:
    """Data made from a seed: ``slopes`` (`SLOPES`, ``groups`` groups), ``crossed`` (500 subjects x 200 items) or
    ``yes_no`` (`YES_NO`)."""

    kind: Literal["slopes", "crossed", "yes_no"]
    rows: int
    groups: int = 0


def lmer_cases() -> list[Case]:
    """The linear mixed models, REML. Peers that need minutes for one are not asked for it, save for the crossed one."""
    slope = Simulated("slopes", 1_000_000, 10_000)
    crossed = Simulated("crossed", 20_000)
    return [
        lmer("sleepstudy", "Reaction ~ Days + (Days | Subject)", EVERYONE, quick=True),
        lmer("hsbsub", "mathach ~ meanses + sector*ses_cmc + (ses_cmc | id)", EVERYONE, quick=True),
        lmer("hsball", "mathach ~ meanses + sector*ses + (ses | id)", EVERYONE),
        lmer("classroom", "mathkind ~ ses + (1 | schoolid/classid)", EVERYONE),
        lmer("nels", "y.nels ~ ses.nels + (ses.nels | g.nels)", QUICK_ONES),
        lmer("Chem97", "score ~ gcsecnt + (1 | school) + (1 | lea)", QUICK_ONES),
        lmer("InstEval", "y ~ service + (1 | s) + (1 | d)", QUICKEST, limit=120),
        lmer("crossed 500 x 200", "y ~ x + (1 | s) + (1 | i)", EVERYONE, crossed),
        lmer("10^6 rows, 10^4 groups", SLOPES, QUICKEST, slope, memory=True, limit=120),
        *sweep("lmer", EVERYONE, 10, rows=(10**3, 10**4, 10**5), groups=(10, 100, 1000, 5000)),
        *sweep("lmer", QUICKEST, 120, rows=(10**6,)),
    ]


def lmer(
    name: str, formula: str, peers: tuple[str, ...], source: Simulated | None = None, **about: Any
) -> Case:
    """A case of the first part; its data are the data set of its name, if none are given."""
    return Case(name, "lmer", formula, source or name, peers, **{"limit": 30, **about})


def glmer_cases() -> list[Case]:
    """Generalised mixed models by Laplace's approximation, each tool with its default control."""
    cbpp = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
    ticks = "TICKS ~ YEAR + cHEIGHT + (1 | BROOD) + (1 | INDEX) + (1 | LOCATION)"
    verbal = "r2 ~ Anger + Gender + btype + situ + mode + (1 | id) + (1 | item)"
    many = Simulated("yes_no", 1_000_000, 10_000)
    return [
        glmer("cbpp", cbpp, LAPLACE, quick=True),
        glmer("Contraception", "use ~ age + urban + livch + (1 | district)", LAPLACE, quick=True),
        glmer("grouseticks", ticks, LAPLACE, family="poisson"),
        glmer("VerbAgg", verbal, LAPLACE),
        glmer("Salamanders", "count ~ spp + mined + (1 | site)", ("bayesmlm", "glmmTMB"), family="nbinom2"),
        glmer("10^6 rows, 10^4 groups", YES_NO, ("bayesmlm",), many, memory=True, limit=600),
        *(
            glmer(
                f"{10 * j} rows, {j} groups", YES_NO, QUICKEST, Simulated("yes_no", 10 * j, j), sweep="groups"
            )
            for j in (100, 1000, 10_000)
        ),
        glmer(
            "10^6 rows, 10^5 groups", YES_NO, ("bayesmlm",), Simulated("yes_no", 10**6, 10**5), sweep="groups"
        ),
    ]


def glmer(
    name: str, formula: str, peers: tuple[str, ...], source: Simulated | None = None, **about: Any
) -> Case:
    """A case of the second part, binomial unless another family is named."""
    return Case(
        name, "glmer", formula, source or name, peers, **{"family": "binomial", "limit": 120, **about}
    )


def bayes_cases() -> list[Case]:
    """The models sampled by NUTS: 4 chains, 1000 warm-up iterations and 1000 draws each, brms's default priors."""
    seed = "mathach ~ meanses + sector*ses_cmc + (ses_cmc | id)"
    all_schools = "mathach ~ meanses + sector*ses + (ses | id)"
    epilepsy = "count ~ zAge + zBase * Trt + (1 | patient) + (1 | obs)"
    inhaler = "rating ~ treat + period + carry + (1 | subject)"
    some = ("bayesmlm", "brms", "bambi+nutpie")
    return [
        Case("hsbsub", "bayes", seed, "hsbsub", BAYESIANS, quick=True),
        Case("hsball", "bayes", all_schools, "hsball", some),
        Case("epilepsy", "bayes", epilepsy, "epilepsy", some, family="poisson"),
        Case("inhaler", "bayes", inhaler, "inhaler", ("bayesmlm", "brms"), family="cumulative"),
        *sweep("bayes", ("bayesmlm",), 300, rows=(10**4, 10**5, 10**6), groups=(10, 100, 1000)),
    ]


def sweep(
    part: Part, peers: tuple[str, ...], limit: float, rows: tuple[int, ...] = (), groups: tuple[int, ...] = ()
) -> list[Case]:
    """`SLOPES` with 100 groups and more and more rows, then with 20 000 rows and more and more groups."""
    points = [("rows", Simulated("slopes", n, 100)) for n in rows]
    points += [("groups", Simulated("slopes", 20_000, j)) for j in groups]
    return [
        Case(f"{s.rows} rows, {s.groups} groups", part, SLOPES, s, peers, sweep=along, limit=limit)
        for along, s in points
    ]


def huge_case() -> Case:
    """10^7 rows (``--huge``): needs about 24 GiB."""
    data = Simulated("slopes", 10**7, 100)
    return Case("10^7 rows, 100 groups", "bayes", SLOPES, data, ("bayesmlm",), memory=True, limit=3600)


def load(source: str | Simulated) -> pd.DataFrame:
    """The data of a case; raises ``DataError`` for a data set that is not here (it says where to get one)."""
    if isinstance(source, Simulated):
        return simulate(source)
    import bayesmlm as bm

    return bm.load_dataset(source)


def simulate(source: Simulated) -> pd.DataFrame:
    """The same numbers on every machine: a seed of their own for all sizes."""
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(20_000)
    n = source.rows
    x, e = rng.normal(size=n), rng.normal(size=n)
    if source.kind == "crossed":
        s, i = rng.integers(500, size=n), rng.integers(200, size=n)
        y = 1 + 0.5 * x + 0.8 * rng.normal(size=500)[s] + 0.6 * rng.normal(size=200)[i] + e
        return pd.DataFrame({"y": y, "x": x, "s": s, "i": i})
    g = np.arange(n) % source.groups
    if source.kind == "yes_no":
        eta = 0.3 + 0.5 * x + rng.normal(size=source.groups)[g]
        return pd.DataFrame({"y": (rng.random(n) < 1 / (1 + np.exp(-eta))).astype(int), "x": x, "g": g})
    b = rng.normal(size=(source.groups, 2)) @ np.array([[0.8, 0.2], [0.0, 0.4]])
    return pd.DataFrame({"y": 1 + b[g, 0] + (0.5 + b[g, 1]) * x + e, "x": x, "g": g})


def grouping_columns(formula: str) -> list[str]:
    """The columns after the bars of a formula, in order."""
    after_bars = " ".join(re.findall(r"\|([^)]*)\)", formula))
    return list(dict.fromkeys(re.findall(r"[\w.]+", after_bars)))


def used_columns(formula: str, data: pd.DataFrame) -> pd.DataFrame:
    """The complete rows of the columns that a formula names, grouping columns as factors of text."""
    import pandas as pd

    names = [name for name in dict.fromkeys(re.findall(r"[A-Za-z][\w.]*", formula)) if name in data]
    kept = data[names].dropna().reset_index(drop=True)
    for name in names:
        if name in grouping_columns(formula) or isinstance(kept[name].dtype, pd.CategoricalDtype):
            kept[name] = kept[name].astype(str).astype("category")
    return kept
