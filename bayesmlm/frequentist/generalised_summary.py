"""``summary()`` and ``print()`` of generalised mixed models: in lme4's layout, of models that lme4 does not have in
glmmTMB's."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .generalised_effects import effects_of, var_corr_frame, var_corr_lines, varying_parts
from .generalised_tests import coefficient_covariance, coefficient_table
from .generalised_words import (
    constant_lines,
    family_line,
    formula_lines,
    has_own_table,
    is_lme4s,
    message_lines_of,
    part_title,
    title_lines,
    title_of,
)
from .r_print import LEGEND, format_numbers, named_vector_lines
from .summary import (
    QUANTILES,
    coefficient_table_lines,
    correlation_lines,
    criterion_lines,
    groups_line,
    residual_lines,
)

if TYPE_CHECKING:
    from .generalised_fit import GeneralisedFit

__all__ = ["GeneralisedSummary", "PartSummary", "fit_lines", "summarise"]

Vector = NDArray[np.float64]

SHOWN = ("Variance", "Std.Dev.")


@dataclass(frozen=True)
class PartSummary:
    """One distributional parameter: lines of its group effects, the numbers of their levels, and its coefficients.

    ``coefficients``: Estimate, Std. Error, z value, Pr(>|z|), on the scale of the link; None for a constant, which is
    shown on its own scale elsewhere.
    """

    name: str
    title: str
    varcor_lines: tuple[str, ...]
    ngrps: dict[str, int]
    coefficients: pd.DataFrame | None


@dataclass(frozen=True, repr=False)
class GeneralisedSummary:
    """A summary to print or to read from.

    ``title``: how the likelihood was approximated; ``head``: family and formulas; ``criterion``: AIC, BIC, logLik,
    deviance and df.resid; ``notes``: what is to be said of these; ``residuals``: quantiles of the scaled Pearson
    residuals; ``varcor``: as ``m.VarCorr()``; ``parts``: the distributional parameters, mu first; ``constants``: those
    that are one number, on their own scale, and in ``constant_lines`` as printed; ``correlation``: of the coefficients
    of mu, (p, p); ``messages``: what the fit had to say, in ``message_lines`` as printed; ``is_lme4s``: whether it
    prints as lme4's, or as glmmTMB's.
    """

    title: str
    head: tuple[str, ...]
    criterion: pd.Series
    notes: tuple[str, ...]
    residuals: pd.Series
    varcor: pd.DataFrame
    nobs: int
    parts: tuple[PartSummary, ...]
    constants: dict[str, float]
    constant_lines: tuple[str, ...]
    correlation: pd.DataFrame
    messages: tuple[str, ...]
    message_lines: tuple[str, ...]
    is_lme4s: bool
    shows_correlation: bool | None = None
    digits: int = 4

    @property
    def coefficients(self) -> pd.DataFrame:
        """The coefficients of mu: Estimate, Std. Error, z value, Pr(>|z|), on the scale of the link."""
        table = self.parts[0].coefficients
        assert table is not None
        return table

    def to_text(self, correlation: bool | None = None, digits: int | None = None, width: int = 80) -> str:
        """The summary as R prints it on lines of ``width``.

        ``correlation``: show the correlations of the coefficients (default: as asked of ``summary()``, else in lme4's
        layout if there are at most 12 of them); ``digits``: significant digits of coefficients and residuals.
        """
        digits = self.digits if digits is None else digits
        lines: list[str] = []
        for block in self._blocks(correlation, digits, width):
            lines += block if isinstance(block, list) else _table_lines(block, digits, width)
        return "\n".join([*lines, ""])

    def __str__(self) -> str:
        return self.to_text()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from .r_html import coefficient_table as as_html

        pieces = []
        for block in self._blocks(None, self.digits, 80):
            if isinstance(block, list):
                pieces.append(f"<pre>{html.escape(chr(10).join(block))}</pre>")
                continue
            table = block.coefficients
            assert table is not None
            pieces.append(f"<h4>{html.escape(block.title)}</h4>{as_html(table, self.digits)}")
            if (table["Pr(>|z|)"] < 0.1).any():
                pieces.append(f"<p><small>{html.escape(LEGEND)}</small></p>")
        return f"<div>{''.join(pieces)}</div>"

    def _blocks(self, correlation: bool | None, digits: int, width: int) -> list[list[str] | PartSummary]:
        """Lines, and between them the parts whose coefficients stand there."""
        criteria = [*criterion_lines(self.criterion, 1), *self.notes]
        asked = self.shows_correlation if correlation is None else correlation
        tables = [part for part in self.parts if part.coefficients is not None and len(part.coefficients)]
        if not self.is_lme4s:
            top = [*self.head, "", *criteria, "", "Random effects:"]
            for part in (p for p in self.parts if p.varcor_lines):
                top += ["", f"{part.title}:", *part.varcor_lines, groups_line(self.nobs, part.ngrps)]
            bottom = correlation_lines(self.correlation, bool(asked), width)
            return [[*top, *self.constant_lines], *tables, [*bottom, *self.message_lines]]
        top = [*title_lines(self.title, width), *self.head, "", *criteria, ""]
        top += [*residual_lines(self.residuals, digits, width), ""]
        part = self.parts[0]
        top += ["Random effects:", *part.varcor_lines, groups_line(self.nobs, part.ngrps)]
        return [
            top,
            *tables,
            [*correlation_lines(self.correlation, asked, width), *self.message_lines],
        ]


def _table_lines(part: PartSummary, digits: int, width: int) -> list[str]:
    assert part.coefficients is not None
    return ["", f"{part.title}:", *coefficient_table_lines(part.coefficients, digits, width)]


def criteria_of(fit: GeneralisedFit) -> pd.Series:
    """AIC, BIC, logLik, deviance (-2 logLik) and df.resid."""
    values = {"AIC": fit.AIC(), "BIC": fit.BIC(), "logLik": fit.logLik(), "deviance": fit.criterion}
    return pd.Series({**values, "df.resid": fit.df_residual})


def quadrature_lines(fit: GeneralisedFit, places: int) -> list[str]:
    """With quadrature, lme4's log likelihood, which leaves out the family's constants: it is relative to the saturated
    model."""
    kernel, eta = fit.problem.kernel, fit.evaluation.mode.eta
    squares = getattr(kernel, "deviance_residual_squares", None)
    if fit.nodes <= 1 or squares is None:
        return []
    constants = float(squares(eta).sum()) - kernel.criterion(eta)[0]
    if abs(constants) < 0.5 * 10.0**-places:
        return []
    deviance = fit.criterion + constants
    return [
        "(without constants of the family, as lme4 has it: "
        f"logLik {-0.5 * deviance:.{places}f}, deviance {deviance:.{places}f})"
    ]


def summarise(
    fit: GeneralisedFit, correlation: bool | None = None, use_hessian: bool | None = None
) -> GeneralisedSummary:
    """See `GeneralisedTableMethods.summary`."""
    lme4s = is_lme4s(fit)
    varying = varying_parts(fit)
    parts = []
    for name in fit.parts:
        terms = effects_of(fit, name).terms
        parts.append(
            PartSummary(
                name,
                "Fixed effects" if lme4s else part_title(name),
                tuple(var_corr_lines(fit, name, 4, SHOWN)) if name in varying else (),
                {t.group: len(t.levels) for t in terms},
                coefficient_table(fit, name, use_hessian) if has_own_table(fit, name) else None,
            )
        )
    at, names = fit.part_slices["mu"], list(fit.design.coefficients)
    V = coefficient_covariance(fit, use_hessian)[at, at]
    with np.errstate(invalid="ignore"):
        sd = np.sqrt(np.diag(V))
    scaled = fit.residual_values("pearson", scaled=True)
    quantiles = np.quantile(scaled[np.isfinite(scaled)], [0, 0.25, 0.5, 0.75, 1])
    return GeneralisedSummary(
        title=title_of(fit),
        head=(family_line(fit), *formula_lines(fit)),
        criterion=criteria_of(fit),
        notes=tuple(quadrature_lines(fit, 1)),
        residuals=pd.Series(quantiles, index=list(QUANTILES)),
        varcor=var_corr_frame(fit, "cov.last", None),
        nobs=fit.n,
        parts=tuple(parts),
        constants=fit.constants,
        constant_lines=tuple(constant_lines(fit)),
        correlation=pd.DataFrame(V / np.outer(sd, sd), index=names, columns=names),
        messages=fit.messages,
        message_lines=tuple(message_lines_of(fit)),
        is_lme4s=lme4s,
        shows_correlation=correlation,
    )


# -- print(fit) ----------------------------------------------------------------------------------------------------


def fit_lines(fit: GeneralisedFit, digits: int = 4, width: int = 80) -> list[str]:
    """What R prints for the fit itself."""
    if not is_lme4s(fit):
        return _many_parts(fit, digits, width)
    lines = [*title_lines(title_of(fit), width), family_line(fit), *formula_lines(fit)]
    lines += [*criterion_lines(criteria_of(fit), 4), *quadrature_lines(fit, 4)]
    lines += ["Random effects:", *var_corr_lines(fit, "mu", digits, SHOWN[1:])]
    lines.append(groups_line(fit.n, {t.group: len(t.levels) for t in fit.design.terms}))
    if fit.p:
        lines += ["Fixed Effects:", *_named(fit.design.coefficients, fit.beta, digits, width)]
    else:
        lines.append("No fixed effect coefficients")
    return [*lines, *message_lines_of(fit)]


def _named(names: Sequence[str], values: Vector, digits: int, width: int) -> list[str]:
    cells = format_numbers(values.tolist(), digits)
    return named_vector_lines(dict(zip(names, cells, strict=True)), width, gap=2)


def _many_parts(fit: GeneralisedFit, digits: int, width: int) -> list[str]:
    """glmmTMB's print, under its family."""
    criteria = criteria_of(fit).drop("deviance")
    lines = [family_line(fit), *formula_lines(fit), *criterion_lines(criteria, digits + 1)]
    lines += quadrature_lines(fit, digits)
    lines.append("Random-effects (co)variances:")
    groups = [f"Number of obs: {fit.n}"]
    for part in varying_parts(fit):
        lines += ["", f"{part_title(part)}:", *var_corr_lines(fit, part, digits, SHOWN[1:])]
        levels = {t.group: len(t.levels) for t in effects_of(fit, part).terms}
        groups.append(f"{part_title(part)}: " + "; ".join(f"{g}, {n}" for g, n in levels.items()))
    lines += ["", " / ".join(groups), *constant_lines(fit), "", "Fixed Effects:"]
    for part in (p for p in fit.parts if has_own_table(fit, p)):
        values = fit.beta_all[fit.part_slices[part]]
        lines += ["", f"{part_title(part)}:", *_named(fit.part(part).coefficients, values, digits, width)]
    return [*lines, *message_lines_of(fit)]
