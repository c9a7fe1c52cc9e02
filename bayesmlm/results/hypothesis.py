"""Hypotheses about combinations of parameters, as brms's ``hypothesis()``.

A hypothesis is text, ``left = right``, ``left > right`` or ``left < right``, of parameter names, numbers, R's operators
and the functions of the formula language. It is evaluated over the draws by `bayesmlm.formula.evaluate`, which knows
the draws and nothing else.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..data.columns import Numeric
from ..data.frame import Frame
from ..errors import BayesmlmError, FormulaError
from ..formula.calls import TransformState
from ..formula.evaluate import evaluate
from ..formula.parse import parse_expression
from ..formula.walk import variables
from . import layout
from .summary import r_matrix

if TYPE_CHECKING:
    import pandas as pd

    from .fit import BayesFit

__all__ = ["Hypotheses", "density_ratio", "hypothesis"]

Draws = NDArray[np.float64]
Lookup = Callable[[str], Draws | None]
"""Draws (draw,) of the parameter of that name, or None when there is none."""

# A name as brms finds it: `sector:ses_cmc`, `r_id[1224,Intercept]`; a call's name is followed by a bracket.
_WORD = r"(?:[^\W\d]|\.(?!\d))[\w.]*+"
_NAME = rf"{_WORD}(?::{_WORD})*+(?:\[[^\]]*\])?+(?!\s*\()"
_QUOTED_OR_NAME = re.compile(rf"`[^`]*`|'[^']*'|\"[^\"]*\"|(?<![\w.]){_NAME}")
_SIGN = re.compile(r"`[^`]*`|([=<>])")


@dataclass(frozen=True, repr=False)
class Hypotheses:
    """What the draws say about hypotheses.

    ``table``: a row for each, with columns Hypothesis, Estimate, Est.Error, CI.Lower, CI.Upper, Evid.Ratio, Post.Prob,
    Star (and first Group, when there is one for each level). The estimate is of left minus right. ``samples``,
    ``prior_samples``: its draws, posterior and prior (NaN without), columns H1, H2, ...; ``class_``, ``alpha``: as
    given.
    """

    table: pd.DataFrame
    samples: pd.DataFrame
    prior_samples: pd.DataFrame
    class_: str
    alpha: float

    def to_text(self, digits: int = 2, chars: int = 20) -> str:
        """As brms prints it; hypotheses longer than ``chars`` are cut."""
        cells: dict[str, list[str]] = {}
        for name, column in self.table.items():
            if column.dtype == np.float64:
                cells[str(name)] = _as_r_prints(column.to_numpy(), digits)
            else:
                cells[str(name)] = [_shortened(x, chars) if name == "Hypothesis" else str(x) for x in column]
        one, two = f"{100 * (1 - 2 * self.alpha):g}", f"{100 * (1 - self.alpha):g}"
        return "\n".join(
            [
                f"Hypothesis Tests for class {self.class_}:",
                *r_matrix([str(i + 1) for i in range(len(self.table))], cells),
                "---",
                f"'CI': {one}%-CI for one-sided and {two}%-CI for two-sided hypotheses.",
                f"'*': For one-sided hypotheses, the posterior probability exceeds {two}%;",
                f"for two-sided hypotheses, the value tested against lies outside the {two}%-CI.",
                "Posterior probabilities of point hypotheses assume equal prior probabilities.",
            ]
        )

    def __str__(self) -> str:
        return self.to_text()

    def __repr__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        return self.table.to_html(float_format=lambda x: f"{x:.2f}")


def hypothesis(
    source: Any,
    hypotheses: str | Sequence[str] | Mapping[str, str],
    *,
    class_: str | None = None,
    group: str = "",
    scope: str = "standard",
    alpha: float = 0.05,
    robust: bool = False,
) -> Hypotheses:
    """Test hypotheses on the draws of a `BayesFit`, or on a data frame with a column of draws for each name.

    ``hypotheses``: one, several, or named ones. ``class_``: prefix of the parameters' names (default "b" for a fit; ""
    for full names, such as ``sd_id__Intercept``); with ``group`` the prefix is ``<class>_<group>__`` (``class_="sd",
    group="id"``). Names that are not R names stand in back-ticks, but for ``a:b`` and ``r_g[level,coef]``. ``scope``:
    "ranef" or "coef" with ``group`` tests each level's own effects or coefficients.

    For ``=`` the interval is the central 1 - ``alpha`` one and Evid.Ratio the Savage-Dickey ratio of posterior to prior
    density at zero, which needs ``sample_prior="yes"`` (else NaN); for ``>`` and ``<`` the interval is the central
    1 - 2 ``alpha`` one and Evid.Ratio the posterior odds. ``robust``: median and MAD for mean and sd.

    Raises `FormulaError` for text that is no such expression, `BayesmlmError` for an unknown parameter.
    """
    named = _named(hypotheses)
    if not 0 < alpha < 1:
        raise BayesmlmError(f"alpha={alpha:g} must lie between 0 and 1")
    if scope not in ("standard", "ranef", "coef"):
        raise BayesmlmError(f'scope must be "standard", "ranef" or "coef", not {scope!r}')
    if scope != "standard":
        return _of_levels(source, named, scope, group, alpha, robust)
    parameters = _of_fit(source) if hasattr(source, "idata") else _of_frame(source)
    prefix = ("b" if hasattr(source, "idata") else "") if class_ is None else class_
    prefix = f"{prefix}_{group}__" if group else f"{prefix}_" if prefix else ""
    results = [_test(text, label, prefix, parameters, alpha, robust) for text, label in named]
    return _combined(results, prefix, alpha)


def density_ratio(posterior: Draws, prior: Draws, point: float = 0.0) -> float:
    """Posterior over prior density at ``point``: for nested models the Bayes factor in favour of the point
    hypothesis (Dickey 1971). Gaussian kernels with Silverman's (1986) rule-of-thumb width, as in brms."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(_density(posterior, point) / _density(prior, point))


def _density(draws: Draws, point: float) -> np.float64:
    low, high = np.quantile(draws, [0.25, 0.75])
    sd = draws.std(ddof=1)
    width = 0.9 * (min(sd, (high - low) / 1.34) or sd) * len(draws) ** -0.2
    return np.exp(-0.5 * ((draws - point) / width) ** 2).mean() / (width * np.sqrt(2 * np.pi))


@dataclass(frozen=True)
class _Parameters:
    """What hypotheses may be about: draws by name, prior draws by name, and the names."""

    posterior: Lookup
    prior: Lookup
    names: Sequence[str]


@dataclass(frozen=True)
class _Result:
    row: dict[str, Any]
    draws: Draws
    prior: Draws | None


def _test(
    text: str, label: str | None, prefix: str, parameters: _Parameters, alpha: float, robust: bool
) -> _Result:
    left, sign, right = _sides(text)
    label = label or f"{_label(left, right)} {sign} 0"
    left, right = _with_quotes(left), _with_quotes(right)
    used = list(dict.fromkeys(prefix + name for side in (left, right) for name in _variables(side)))
    if not used:
        raise FormulaError("a hypothesis names at least one parameter", text, (0, len(text)))
    found = {name: parameters.posterior(name) for name in used}
    missing = [name for name, draws in found.items() if draws is None]
    if missing:
        raise _unknown(missing[0], prefix, parameters.names)
    before = {name: parameters.prior(name) for name in used}
    draws = _difference(left, right, found, prefix)
    # As in brms, prior draws count only if every parameter of the hypothesis has them.
    has_prior = all(values is not None for values in before.values())
    prior_draws = _difference(left, right, before, prefix) if has_prior else None
    return _Result(_summary(label, sign, draws, prior_draws, alpha, robust), draws, prior_draws)


def _summary(
    label: str, sign: str, draws: Draws, prior: Draws | None, alpha: float, robust: bool
) -> dict[str, Any]:
    centre, spread = draws.mean(), draws.std(ddof=1)
    if robust:
        centre = np.median(draws)
        spread = 1.4826 * np.median(np.abs(draws - centre))
    tail = alpha / 2 if sign == "=" else alpha
    lower, upper = np.quantile(draws, [tail, 1 - tail])
    if sign == "=":
        ratio = np.nan if prior is None else density_ratio(draws, prior)
    else:
        favourable = int((draws > 0).sum() if sign == ">" else (draws < 0).sum())
        ratio = np.inf if favourable == len(draws) else favourable / (len(draws) - favourable)
    probability = 1.0 if np.isinf(ratio) else ratio / (1 + ratio)
    star = not lower <= 0 <= upper if sign == "=" else probability > 1 - alpha
    return {
        "Hypothesis": label,
        "Estimate": float(centre),
        "Est.Error": float(spread),
        "CI.Lower": float(lower),
        "CI.Upper": float(upper),
        "Evid.Ratio": float(ratio),
        "Post.Prob": float(probability),
        "Star": "*" if star else "",
    }


def _combined(results: Sequence[_Result], prefix: str, alpha: float) -> Hypotheses:
    import pandas as pd

    names = [f"H{i + 1}" for i in range(len(results))]
    samples = pd.DataFrame(dict(zip(names, (r.draws for r in results), strict=True)))
    nothing = np.full(len(samples), np.nan)
    priors = (nothing if r.prior is None else r.prior for r in results)
    table = pd.DataFrame([r.row for r in results])
    prior_samples = pd.DataFrame(dict(zip(names, priors, strict=True)))
    return Hypotheses(table, samples, prior_samples, prefix.rstrip("_"), alpha)


def _of_fit(fit: BayesFit) -> _Parameters:
    places = layout.flat_names(fit.idata)
    own = {name: place for name, place in places.items() if place.kind != "prior"}
    priors = {name.removeprefix("prior_"): place for name, place in places.items() if place.kind == "prior"}

    def lookup(known: Mapping[str, layout.FlatName]) -> Lookup:
        return lambda name: layout.gather(fit.idata, [known[name]])[0].ravel() if name in known else None

    return _Parameters(lookup(own), lookup(priors), list(own))


def _of_frame(frame: pd.DataFrame) -> _Parameters:
    draws = {str(name): column.to_numpy(np.float64) for name, column in frame.items()}
    return _Parameters(draws.get, _no_prior, list(draws))


def _no_prior(name: str) -> None:
    return None


def _of_levels(
    source: Any,
    named: Sequence[tuple[str, str | None]],
    scope: str,
    group: str,
    alpha: float,
    robust: bool,
) -> Hypotheses:
    if not hasattr(source, "idata"):
        raise BayesmlmError(f'scope="{scope}" needs a fitted model')
    effects = getattr(source, scope)(summary=False)
    if group not in effects:
        raise BayesmlmError(f"group must be one of {', '.join(map(str, effects))}, not {group!r}")
    array = effects[group]
    levels, coefs = (array[dim].to_numpy().tolist() for dim in array.dims[2:])
    values = array.to_numpy().reshape(-1, len(levels), len(coefs))
    results, groups = [], []
    for text, label in named:
        for i, level in enumerate(levels):
            of_level = dict(zip(coefs, values[:, i].T, strict=True))
            parameters = _Parameters(of_level.get, _no_prior, coefs)
            results.append(_test(text, label, "", parameters, alpha, robust))
            groups.append(level)
    found = _combined(results, "", alpha)
    found.table.insert(0, "Group", groups)
    return found


def _named(given: str | Sequence[str] | Mapping[str, str]) -> list[tuple[str, str | None]]:
    if isinstance(given, Mapping):
        pairs: list[tuple[Any, str | None]] = [(text, str(label)) for label, text in given.items()]
    else:
        pairs = [(text, None) for text in ([given] if isinstance(given, str) else given)]
    if not pairs or not all(isinstance(text, str) for text, _ in pairs):
        raise BayesmlmError('a hypothesis is text such as "x > 0"; give one, a list of them, or a dict')
    return pairs


def _sides(text: str) -> tuple[str, str, str]:
    signs = [m for m in _SIGN.finditer(text) if m[1]]
    if len(signs) == 1:
        left, right = text[: signs[0].start()].strip(), text[signs[0].end() :].strip()
        if left and right:
            return left, signs[0][1], right
    span = signs[1].span() if len(signs) > 1 else (0, len(text))
    reason = "a hypothesis has the form `left = right`, `left < right` or `left > right`"
    raise FormulaError(reason, text, span)


def _with_quotes(side: str) -> str:
    def quoted(match: re.Match[str]) -> str:
        name = match[0]
        if name[0] in "`'\"":
            return name
        head, bracket, inner = name.partition("[")
        return f"`{head}{bracket}{''.join(inner.split())}`"

    return _QUOTED_OR_NAME.sub(quoted, side)


def _variables(side: str) -> list[str]:
    return list(variables(parse_expression(side)))


def _difference(left: str, right: str, draws: Mapping[str, Draws | None], prefix: str) -> Draws:
    columns = {name.removeprefix(prefix): Numeric(v) for name, v in draws.items() if v is not None}
    frame = Frame.from_columns(columns)
    sides = []
    for text in (left, right):
        column = evaluate(parse_expression(text), frame, TransformState(), source=text)
        if not isinstance(column, Numeric) or column.values.ndim != 1:
            raise FormulaError("this is not one number for each draw", text, (0, len(text)))
        sides.append(column.values)
    return sides[0] - sides[1]


def _label(left: str, right: str) -> str:
    left, right = ("".join(side.split()) for side in (left, right))
    return f"({left})" if right == "0" else f"({left})-({right})"


def _unknown(name: str, prefix: str, names: Sequence[str]) -> BayesmlmError:
    own = [known.removeprefix(prefix) for known in names if known.startswith(prefix)]
    short = name.removeprefix(prefix)
    near = difflib.get_close_matches(short, own, n=3)
    hint = f"; did you mean {' or '.join(f'`{n}`' for n in near)}?" if near else "."
    if not near and name != short and short in names:
        hint = f'; `{short}` is the full name of a parameter: use class_="".'
    shown = ", ".join(own[:12]) + (", ..." if len(own) > 12 else "")
    return BayesmlmError(
        f"there is no parameter `{name}`{hint}" + (f" Those of this class are {shown}." if own else "")
    )


def _shortened(label: str, chars: int) -> str:
    """brms's cut: at most ``chars`` characters before the last four, which hold the sign."""
    body, end = label[:-4], label[-4:]
    return label if len(body) <= chars else f"{body[: chars - 3]}...{end}"


def _as_r_prints(values: Draws, digits: int) -> list[str]:
    """A column as R prints it: rounded, then with as many decimals as seven significant digits need."""
    values = np.round(values, digits) + 0.0  # no negative zeros
    shown = [f"{x:.7g}" for x in values if np.isfinite(x)]
    decimals = max((len(text.partition(".")[2]) for text in shown if "e" not in text), default=0)
    special = {"nan": "NA", "inf": "Inf", "-inf": "-Inf"}
    return [special.get(str(x)) or f"{x:.{decimals}f}" for x in values.tolist()]
