"""How generalised mixed models are called in print: titles, families, formulas, constants, as lme4 and glmmTMB."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from .generalised_design import ParameterDesign
from .r_print import number
from .summary import call_lines, message_lines

if TYPE_CHECKING:
    from .generalised_fit import GeneralisedFit

__all__ = [
    "constant_lines",
    "family_line",
    "formula_lines",
    "formula_text",
    "has_own_table",
    "is_lme4s",
    "message_lines_of",
    "part_title",
    "title_lines",
    "title_of",
]

R_FAMILIES = {"gamma": "Gamma"}
"""What R calls the families whose names differ from ours."""
CLASS = "glmerMod"

DISPERSION = ("sigma", "shape", "phi")
PROBABILITIES = {"zi": "Zero inflation", "hu": "Hurdle"}
"""Parameters that glmmTMB shows as a model of their own, constant or not."""
TITLES = {"mu": "Conditional model", "zi": "Zero-inflation model", "hu": "Hurdle model"}
FORMULA_WIDTH = 17
"""Columns of glmmTMB's names of formulas."""


def is_lme4s(fit: GeneralisedFit) -> bool:
    """Whether lme4 has the model: one linear predictor, or ``glmer.nb``, whose shape is one constant."""
    others = [name for name in fit.parts if name != "mu"]
    return not others or (fit.family.name == "negbinomial" and not _is_predicted(fit, "shape"))


def _is_predicted(fit: GeneralisedFit, name: str) -> bool:
    design = fit.part(name)
    return not isinstance(design, ParameterDesign) or design.predicted


def has_own_table(fit: GeneralisedFit, part: str) -> bool:
    """Whether a part's coefficients are shown in a table of their own; else it is one constant, shown as such."""
    if part != "mu" and not fit.part(part).coefficients:
        return False
    return part in PROBABILITIES or _is_predicted(fit, part)


def part_title(part: str) -> str:
    """What stands above the tables of a part."""
    if part in DISPERSION:
        return "Dispersion model"
    return TITLES.get(part, f"Model of {part}")


def title_of(fit: GeneralisedFit) -> str:
    """How the likelihood was approximated, in lme4's words."""
    how = (
        "(Laplace Approximation)"
        if fit.nodes == 1
        else f"(Adaptive Gauss-Hermite Quadrature, nAGQ = {fit.nodes})"
    )
    return f"Generalized linear mixed model fit by maximum likelihood {how}"


def title_lines(title: str, width: int) -> list[str]:
    """lme4's first line, broken where it is too long; the class stands in quotes where it is not, as in lme4."""
    if len(title) + 5 + len(CLASS) <= width:
        return [f"{title} ['{CLASS}']"]
    # R's strwrap(width = w) leaves lines shorter than w - 1
    lines = textwrap.wrap(title, width - 4, subsequent_indent="  ", break_on_hyphens=False)
    return [*lines[:-1], f"{lines[-1]} [{CLASS}]"]


def family_line(fit: GeneralisedFit) -> str:
    """The family with its link under R's name; of other models than lme4's under ours, with the links of all parts
    whose coefficients are shown."""
    family = fit.family
    if not is_lme4s(fit):
        links = [f"{p} = {fit.part(p).link}" for p in fit.parts if p != "mu" and has_own_table(fit, p)]
        more = f"; {'; '.join(links)}" if links else ""
        return f" Family: {family.name}  ( {family.link('mu')} ){more}"
    name = R_FAMILIES.get(family.name, family.name)
    if family.name == "negbinomial":
        name = f"Negative Binomial({round(shape_of(fit), 4):.15g})"
    return f" Family: {name}  ( {family.link('mu')} )"


def shape_of(fit: GeneralisedFit) -> float:
    """The shape of a negative binomial model, one constant: estimated, or fixed by the user."""
    estimated = fit.constants.get("shape")
    if estimated is not None:
        return estimated
    design = fit.part("shape")
    assert isinstance(design, ParameterDesign)
    assert design.fixed is not None
    return design.fixed


def formula_lines(fit: GeneralisedFit) -> list[str]:
    """The formulas: lme4's line, or glmmTMB's lines, one for each part that is shown."""
    first, *rest = call_lines(fit)
    notes = _definition_lines(fit)
    if is_lme4s(fit):
        return [first, *rest, *notes]
    response = fit.design.formula.left_text
    lines = [f"{'Formula:':<{FORMULA_WIDTH}} {fit.formula}"]
    for part in fit.parts:
        if part == "mu" or not has_own_table(fit, part):
            continue
        label = PROBABILITIES.get(part, "Dispersion" if part in DISPERSION else "Parameter") + ":"
        right = str(fit.design.bayes_formula.parameters[part]) if _is_predicted(fit, part) else f"{part} ~ 1"
        right = right.partition("~")[2].strip()
        lines.append(f"{label:<{FORMULA_WIDTH}} {part:>{len(response)}} ~ {right}")
    fixed = [f"{d.name} = {d.fixed:g}" for d in fit.design.parameters if d.fixed is not None]
    lines += [f"{'Fixed:':<{FORMULA_WIDTH}} {', '.join(fixed)}"] if fixed else []
    return [*lines, *rest, *notes]


def _definition_lines(fit: GeneralisedFit) -> list[str]:
    """Of lme4's families whether the observed information was asked for, where that makes a difference."""
    local, kernel = fit.evaluation.mode.local, fit.problem.kernel
    if fit.problem.model.expected or not kernel.has_expected or local.expected is local.observed:
        return []
    return ["Laplace: observed information"]


def formula_text(fit: GeneralisedFit) -> str:
    """All formulas in one line: ``count ~ mined + (1 | site), zi ~ mined``."""
    return ", ".join(fit.design.bayes_formula.lines())


def message_lines_of(fit: GeneralisedFit) -> list[str]:
    """What is to be known about the data, as lme4's fit warnings, and about the optimum, at the end of what is
    printed."""
    data = [m for m in fit.messages if m in fit.design.messages]
    others = [m for m in fit.messages if m not in data]
    return [*(["fit warnings:", *data] if data else []), *message_lines(others)]


def constant_lines(fit: GeneralisedFit) -> list[str]:
    """The distributional parameters that are constants, on their own scale, each after an empty line."""
    lines = []
    for name, value in fit.constants.items():
        if name in PROBABILITIES:
            continue
        what = "Dispersion parameter" if name in DISPERSION else "Parameter"
        lines += ["", f"{what} for {fit.family.name} family ({name}): {number(value, 3)}"]
    return lines
