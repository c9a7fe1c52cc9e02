"""What `posterior_predict` gives besides draws: probabilities, densities and quantiles of the predictive distribution
given each draw of the parameters, probability integral transforms, and quantile residuals.

Dunn and Smyth (1996), "Randomized quantile residuals", Journal of Computational and Graphical Statistics 5: where the
distribution has steps, or the response is censored, a transform is drawn uniformly between its two ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BayesmlmError
from ..families.additions import tails_at
from ..families.inversion import conditional_tails, has_tails, log_density, log_tails, quantile

if TYPE_CHECKING:
    from ..families.base import Family
    from ..model.program import Structure
    from .fit import BayesFit

__all__ = [
    "OF_THE_RESPONSE",
    "OUTPUTS",
    "OUTPUT_KINDS",
    "predictive_output",
    "quantile_residuals",
    "require_tails",
]

Floats = NDArray[np.float64]
Array = Any

OUTPUTS = ("random", "probability", "density", "quantile", "pit")
OF_THE_RESPONSE = frozenset(
    {"log_likelihood", "log_below", "log_beyond", "log_density", "pit", "quantile_residual"}
)
"""Kinds of predictions that look at the observed response, unless they are given other values."""


def predictive_output(
    fit: BayesFit,
    newdata: Any,
    output: str,
    *,
    q: Any = None,
    p: Any = None,
    log: bool = False,
    lower_tail: bool = True,
    negative_rt: bool = False,
    arguments: Mapping[str, Any],
) -> Floats:
    """(draws, rows): see `BayesFit.posterior_predict`. Raises `BayesmlmError` for arguments that do not go with
    ``output`` and families without distribution function."""
    from .predict import Request, predict

    if output not in OUTPUTS:
        raise BayesmlmError(f"output must be one of {', '.join(OUTPUTS)}, not {output!r}")
    _refuse_arguments(output, q, p, log, lower_tail)
    request = Request.of("posterior_predict", newdata, arguments)
    if negative_rt and (output != "random" or fit.family.name != "wiener"):
        raise BayesmlmError(
            "negative_rt=True is for random response times of the family `wiener`: it marks those at the lower boundary"
        )
    if output == "random":
        return predict(fit, "signed_time" if negative_rt else "sample", request)
    if output == "density":
        result = predict(fit, "log_density", request, {} if q is None else {"q": _numbers("q", q)})
        return result if log else np.exp(result)
    require_tails(fit.family, f'output="{output}"')
    if output == "probability":
        kind = "log_below" if lower_tail else "log_beyond"
        result = predict(fit, kind, request, {} if q is None else {"q": _numbers("q", q)})
        return result if log else np.exp(result)
    if output == "quantile":
        return predict(fit, "quantile", request, _tails_of(p, log, lower_tail))
    return predict(fit, "pit", request, {"u": np.random.default_rng([request.seed, 3]).random})


def quantile_residuals(fit: BayesFit, arguments: Mapping[str, Any]) -> Floats:
    """(draws, rows) randomised quantile residuals: standard normal at the true parameters.

    The randomisation is the same for all draws, so that averages over draws keep it.
    """
    from .predict import Request, predict

    require_tails(fit.family, 'type="quantile"')
    request = Request.of("residuals", None, arguments)
    return predict(fit, "quantile_residual", request, {"u": np.random.default_rng([request.seed, 3]).random})


def require_tails(family: Family, what: str) -> None:
    """Raise `BayesmlmError` for a family without distribution function."""
    if not has_tails(family):
        raise BayesmlmError(
            f"{what} needs the distribution function of the family `{family.name}`, which is not there; "
            "posterior_predict() draws responses"
        )


def _refuse_arguments(output: str, q: Any, p: Any, log: bool, lower_tail: bool) -> None:
    given = {"q": q is not None, "p": p is not None, "log": log, "lower_tail": not lower_tail}
    taken = {
        "random": (),
        "pit": (),
        "density": ("q", "log"),
        "probability": ("q", "log", "lower_tail"),
        "quantile": ("p", "log", "lower_tail"),
    }[output]
    for name, there in given.items():
        if there and name not in taken:
            raise BayesmlmError(
                f'output="{output}" takes no `{name}`' + (f"; it takes {', '.join(taken)}" if taken else "")
            )
    if output == "quantile" and p is None:
        raise BayesmlmError('output="quantile" needs `p`, a probability (or one for each row)')


def _numbers(name: str, given: Any) -> Floats:
    values = np.asarray(given, dtype=np.float64)
    if values.ndim > 1 or np.isnan(values).any():
        raise BayesmlmError(f"`{name}` must be a number, or a number for each row")
    return values


def _tails_of(p: Any, log: bool, lower_tail: bool) -> dict[str, Floats]:
    """The logarithms of a probability and its complement."""
    values = _numbers("p", p)
    logs = values if log else np.log(np.where(values > 0, values, np.nan))
    if not ((logs < 0) & np.isfinite(logs)).all():
        raise BayesmlmError(f"`p` must lie between 0 and 1{', as a logarithm' if log else ''}")
    others = np.log(-np.expm1(logs))
    return {"log_p": logs, "log_q": others} if lower_tail else {"log_p": others, "log_q": logs}


# ---- functions of one draw -------------------------------------------------------------------------------------


def _log_below(structure: Structure, values: Any, design: Any, key: Any, dpar: str) -> Array:
    p, extra = structure.parameters(values, design), design["extra"]
    return log_tails(structure.family, _at(design), p, extra)[0]


def _log_beyond(structure: Structure, values: Any, design: Any, key: Any, dpar: str) -> Array:
    p, extra = structure.parameters(values, design), design["extra"]
    return log_tails(structure.family, _at(design), p, extra)[1]


def _log_density(structure: Structure, values: Any, design: Any, key: Any, dpar: str) -> Array:
    return log_density(structure.family, _at(design), structure.parameters(values, design), design["extra"])


def _quantile(structure: Structure, values: Any, design: Any, key: Any, dpar: str) -> Array:
    p = structure.parameters(values, design)
    return quantile(structure.family, design["log_p"], design["log_q"], p, design["extra"])


def _at(design: Any) -> Array:
    return design["q"] if "q" in design else design["y"]


def _pit(structure: Structure, values: Any, design: Any, key: Any, dpar: str) -> Array:
    import jax.numpy as jnp

    return jnp.exp(_transform(structure, values, design)[0])


def _quantile_residual(structure: Structure, values: Any, design: Any, key: Any, dpar: str) -> Array:
    import jax.numpy as jnp
    from jax.scipy.special import ndtri

    below, beyond = _transform(structure, values, design)
    lower = below < beyond
    tail = jnp.exp(jnp.where(lower, below, beyond))
    z = ndtri(jnp.maximum(tail, 1e-300))
    return jnp.where(lower, z, -z)


def _transform(structure: Structure, values: Any, design: Any) -> tuple[Array, Array]:
    """log of the randomised transform, and of one minus it: uniform between the tails at both ends of where the
    response lies."""
    import jax.numpy as jnp

    family, y, extra = structure.family, design["y"], design["extra"]
    p = structure.parameters(values, design)
    start = y - 1.0 if family.support.integer else y - jnp.maximum(jnp.abs(y) * 1e-15, 1e-300)
    end = y
    if "right_censored" in extra:
        right = extra["right_censored"] > 0
        start, end = jnp.where(right, y, start), jnp.where(right, jnp.inf, end)
    if "interval_censored" in extra:
        interval = extra["interval_censored"] > 0
        start, end = jnp.where(interval, y, start), jnp.where(interval, extra["interval_end"], end)
    if "left_censored" in extra:
        start = jnp.where(extra["left_censored"] > 0, -jnp.inf, start)
    low, high = _tails_of_both(family, start, end, p, extra)
    u = design["u"]
    below = jnp.logaddexp(jnp.log1p(-u) + low[0], jnp.log(u) + high[0])
    beyond = jnp.logaddexp(jnp.log1p(-u) + low[1], jnp.log(u) + high[1])
    return below, beyond


def _tails_of_both(family: Family, start: Array, end: Array, p: Any, extra: Any) -> tuple[Any, Any]:
    """The log tails at both ends, which may be infinite."""
    tails = conditional_tails(family, p, extra)
    at = tails_at(lambda y, p, extra: tails(y), {"start": start, "end": end}, 1.0, p, extra)
    return at["start"], at["end"]


def _signed_time(structure: Structure, values: Any, design: Any, key: Any, dpar: str) -> Array:
    """Response times of a Wiener process, negative where it leaves at the lower boundary (brms's ``negative_rt``)."""
    import jax
    import jax.numpy as jnp

    from ..families.reaction_times import draw_times_and_decisions

    rows = design["predictors"]["mu"]["X"].shape[-1]
    p = {
        name: jnp.broadcast_to(value, (rows,)) for name, value in structure.parameters(values, design).items()
    }
    times, upper = draw_times_and_decisions(jax.random.wrap_key_data(key), p, {})
    return jnp.where(upper, times, -times)


def _survival(structure: Structure, values: Any, design: Any, key: Any, dpar: str) -> Array:
    """(times, curves) P(T > t) of the response without its bounds, averaged over the rows of each curve."""
    import jax.numpy as jnp

    from ..families.additions import TRUNCATED

    extra = {name: value for name, value in design["extra"].items() if name not in TRUNCATED}
    p = structure.parameters(values, design)
    beyond = log_tails(structure.family, design["times"][:, None], p, extra)[1]
    return jnp.exp(beyond) @ design["averages"].T


OUTPUT_KINDS: Mapping[str, Callable[..., Any]] = {
    "log_below": _log_below,
    "log_beyond": _log_beyond,
    "log_density": _log_density,
    "quantile": _quantile,
    "pit": _pit,
    "quantile_residual": _quantile_residual,
    "signed_time": _signed_time,
    "survival": _survival,
}
"""Functions of one draw; what they need besides the design stands in it under names of its own."""
