"""Are the answers right? Compared in the same run, so that nobody is beaten by a wrong one."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from .run import Record

CRITERION = 1e-2
"""How far a criterion (REML, or -2 log likelihood) may lie from the reference's: differences in likelihood ratios that
nobody can see."""
UNFINISHED = 3e-6
"""How far below the reference's a -2 log likelihood may lie, as a share of it: lme4 leaves its conditional modes
unfinished (``tolPwrss = 1e-7``), so that its deviance is too high by an amount that grows with the number of groups."""
BETA = 0.01
"""How far a coefficient may lie from the reference's, in standard errors."""
BETA_UNFINISHED = 0.05
"""The same beside a fit that its own tolerance keeps from the optimum."""
MEAN = 0.25
"""How far a posterior mean may lie from the reference's, in posterior standard deviations: with 700 effective draws on
both sides the Monte Carlo error of the difference is 0.053 of them, and some dozen parameters are compared."""

REFERENCES = ("lme4", "glmmTMB", "brms")


def mistakes(records: list[Record]) -> dict[str, str]:
    """Of the records of one case: peer to what is wrong with its answer. The reference is R's answer, where there is
    one, else that of the first peer; it is not judged."""
    answered = [r for r in records if r.answers]
    if not answered:
        return {}
    reference = next((r for r in answered if r.peer in REFERENCES), answered[0])
    judge = {
        "bayes": posterior_mistake,
        "lmer": mixed_model_mistake,
        "glmer": partial(mixed_model_mistake, generalised=True),
    }[reference.case.part]
    found = {r.peer: judge(r.answers[-1], reference.answers[-1]) for r in answered if r is not reference}
    return {peer: words for peer, words in found.items() if words is not None}


def mixed_model_mistake(
    answer: Mapping[str, Any], reference: Mapping[str, Any], generalised: bool = False
) -> str | None:
    """Criterion and, where lme4 gives the standard errors, coefficients; those come in the same order from all."""
    difference = answer["criterion"] - reference["criterion"]
    lowest = -max(CRITERION, UNFINISHED * abs(reference["criterion"])) if generalised else -CRITERION
    if not lowest <= difference <= CRITERION:
        return f"criterion off by {difference:.3g}"
    se = reference.get("se")
    if se is None:
        return None
    if len(answer["beta"]) != len(reference["beta"]):
        return f"{len(answer['beta'])} coefficients, not {len(reference['beta'])}"
    apart = max(abs(a - b) / s for a, b, s in zip(answer["beta"], reference["beta"], se, strict=True))
    most = BETA_UNFINISHED if difference < -CRITERION else BETA
    return None if apart <= most else f"a coefficient off by {apart:.2g} standard errors"


def posterior_mistake(answer: Mapping[str, Any], reference: Mapping[str, Any]) -> str | None:
    """Posterior means of the parameters that both have."""
    shared = sorted(set(answer["mean"]) & set(reference["mean"]))
    if not shared:
        return "no parameter in common"
    apart = {n: abs(answer["mean"][n] - reference["mean"][n]) / reference["sd"][n] for n in shared}
    worst = max(apart, key=lambda name: apart[name])
    return None if apart[worst] <= MEAN else f"mean of {worst} off by {apart[worst]:.2g} posterior sd"
