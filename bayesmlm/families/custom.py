"""Families that users write: plain JAX functions of arrays, with the names of parameters and additions as arguments.

Every function is traced once when the family is made, so that wrong shapes and names are found at once, and the text
of what was traced is the family's digest: it tells two families of one name apart wherever compiled programs or saved
fits are used again.
"""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import BayesmlmError
from .base import DistributionalParameter, Family, FamilyError
from .common import guarded, on_numpy, shape_of
from .lazy import jax, jnp, random
from .links import LINKS
from .support import Support

__all__ = ["custom_family", "with_functions"]

Array = Any
Values = Mapping[str, Array]
Bounds = float | Sequence[float | None] | Mapping[str, float] | None

ADDITIONS = frozenset({"trials", "dec", "se", "cens", "trunc", "mi", "vreal", "vint"})
"""What a custom family may accept besides weights, subset and index."""
ARRAYS = re.compile(r"trials|dec|vreal[1-9]\d*|vint[1-9]\d*")
"""What additions supply to a family's functions by name."""
TRIED_ROWS = 3


def custom_family(
    name: str,
    dpars: str | Sequence[str] = ("mu",),
    links: str | Sequence[str] = "identity",
    *,
    log_prob: Callable[..., Array],
    type: str = "real",
    lb: Bounds = None,
    ub: Bounds = None,
    support: tuple[float, float] = (-np.inf, np.inf),
    sample: Callable[..., Array] | None = None,
    mean: Callable[..., Array] | None = None,
    variance: Callable[..., Array] | None = None,
    cdf: Callable[..., Array] | None = None,
    log_tails: Callable[..., tuple[Array, Array]] | None = None,
    additions: Collection[str] = (),
) -> Family:
    """A family of your own, from functions written with ``jax.numpy`` that work elementwise on arrays.

    The functions get what they name among their arguments: parameters on their natural scale, and what additions
    supply: ``trials``, ``vreal1``, ``vint1``, ... (from ``y | vint(n) ~ x``), ``dec``. An addition is required when an
    argument without a default needs it. All arrays are float64 and broadcast to the rows.

    Args:
        name: letters, digits and underscores.
        dpars: names of the parameters, of which one is "mu".
        links: of each parameter when it is predicted.
        log_prob: ``log_prob(y, mu, phi, trials)``: (n,) log density of each response; do not sum.
        type: "real" or "int", whole numbers.
        lb: lower bounds of the parameters: one for each (None where there is none), or by name. A parameter that
            brms knows (sigma, shape, phi, nu, zi ...) has its usual bounds unless others are given.
        ub: upper bounds, likewise.
        support: smallest and largest legal response.
        sample: ``sample(key, mu, phi, shape)``: draws of the given shape; for `posterior_predict`.
        mean: ``mean(mu, phi)``: expected response; for `posterior_epred`.
        variance: ``variance(mu, phi)``.
        cdf: ``cdf(y, mu, phi)``: P(Y <= y), which makes censored and truncated responses possible.
        log_tails: ``log_tails(y, mu, phi)``: log P(Y <= y) and log P(Y > y), in the place of ``cdf`` where the tails
            themselves underflow.
        additions: additions to accept besides those that follow from the functions.

    Returns:
        The family, for ``family=`` and for `mixture`. Default priors are those that brms gives to parameters of these
        names; a parameter of another name has a flat prior.

    Raises:
        FamilyError: for arguments that contradict each other, and functions that do not return what they should.
    """
    names = (dpars,) if isinstance(dpars, str) else tuple(dpars)
    chosen = (links,) * len(names) if isinstance(links, str) else tuple(links)
    _check_words(name, names, chosen, type, additions)
    parameters = _parameters(names, chosen, lb, ub)
    functions = {
        "log_prob": log_prob,
        "sample": sample,
        "mean": mean,
        "variance": variance,
        "cdf": cdf,
        "log_tails": log_tails,
    }
    calls = {kind: _Call(name, kind, f, names) for kind, f in functions.items() if f is not None}
    digest = hashlib.sha256("\n".join(call.traced() for call in calls.values()).encode()).hexdigest()[:16]
    needed = frozenset(_addition_of(a) for call in calls.values() for a in call.required)
    tails = _tails(calls, support, type == "int")
    known = {_addition_of(a) for call in calls.values() for a in call.extra}
    known |= {"cens", "trunc"} if tails is not None else set()
    known |= {"mi"} if type == "real" else set()
    return Family(
        name=name,
        code=f"{name}({', '.join(names)})",
        description="of the user's own",
        parameters=parameters,
        support=Support(*support, integer=type == "int"),
        log_kernel=_kernel(calls["log_prob"], parameters),
        sample=_or_missing(calls, "sample", name, "draw responses"),
        mean=_or_missing(calls, "mean", name, "expect a response"),
        variance=on_numpy(calls["variance"].of_parameters, compiled=False) if "variance" in calls else None,
        log_tails=tails,
        additions=frozenset({*known, *additions}),
        required_additions=needed,
        options={"custom": {"dpars": list(names), "digest": digest}},
        links=dict(zip(names, chosen, strict=True)),
    )


def with_functions(described: Mapping[str, Any], families: Any) -> Family:
    """The custom family that a saved fit describes, among the ``families`` that the user gave again.

    Raises `FamilyError` when it is not among them or is not the same.
    """
    name, saved = described["name"], described["options"]["custom"]
    given = [families] if isinstance(families, Family) else list(families or ())
    found = next(
        (f for f in given if isinstance(f, Family) and f.name == name and "custom" in f.options), None
    )
    if found is None:
        raise FamilyError(
            f"the family `{name}` was made by custom_family(), whose functions are not stored with a fit: make it "
            "again and pass it, load(path, families=[...])"
        )
    if found.options["custom"] != dict(saved):
        raise FamilyError(
            f"the family `{name}` is not the one that the fit was made with: its parameters or what its functions "
            "compute differ"
        )
    return found.with_links(**described["links"])


def _check_words(
    name: str, dpars: tuple[str, ...], links: tuple[str, ...], type: str, additions: Collection[str]
) -> None:
    from .registry import FAMILIES

    if not re.fullmatch(r"[A-Za-z]\w*", name):
        raise FamilyError(f"the name of a family is made of letters, digits and underscores, not {name!r}")
    if name.lower() in FAMILIES:
        raise FamilyError(f"there is a family `{name}`: give yours another name")
    for dpar in dpars:
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9]*", dpar):
            raise FamilyError(f"the name of a parameter is made of letters and digits, not {dpar!r}")
    if "mu" not in dpars or len(set(dpars)) < len(dpars):
        raise FamilyError(
            "dpars must be different names, and one of them must be 'mu', which the formula predicts"
        )
    if len(links) != len(dpars):
        raise FamilyError(f"{len(dpars)} parameters need {len(dpars)} links, not {len(links)}")
    for link in links:
        if link not in LINKS:
            raise FamilyError(f"there is no link '{link}'; there are {', '.join(LINKS)}")
    if type not in ("real", "int"):
        raise FamilyError(f'type must be "real" or "int", not {type!r}')
    for addition in additions:
        if addition not in ADDITIONS:
            known = ", ".join(sorted(ADDITIONS))
            raise FamilyError(f"a custom family cannot take the addition `{addition}`; it can take {known}")


# ---- parameters
# --------------------------------------------------------------------------------------------------


def _parameters(
    names: tuple[str, ...], links: tuple[str, ...], lb: Bounds, ub: Bounds
) -> tuple[DistributionalParameter, ...]:
    from .registry import FAMILIES

    usual = {p.name: p for f in reversed(FAMILIES.values()) for p in f.parameters if p.name != "mu"}
    lower, upper = _bounds("lb", lb, names), _bounds("ub", ub, names)
    out = []
    for name, link in zip(names, links, strict=True):
        known = usual.get(name, DistributionalParameter(name, (), default_prior_predicted=""))
        prior, predicted = known.default_prior, known.default_prior_predicted
        if name == "mu":
            prior = predicted = "scale"
        out.append(
            DistributionalParameter(
                name,
                (link, *(other for other in LINKS if other != link)),
                lower.get(name, known.lower),
                upper.get(name, known.upper),
                prior,
                predicted,
                below_response=known.below_response and name not in upper,
            )
        )
    return tuple(out)


def _bounds(argument: str, given: Bounds, names: tuple[str, ...]) -> dict[str, float | None]:
    """The bounds that were given, by parameter; infinite ones are none."""
    if given is None:
        return {}
    if isinstance(given, Mapping):
        unknown = [name for name in given if name not in names]
        if unknown:
            raise FamilyError(f"{argument} names `{unknown[0]}`, which is not among the parameters")
        return {name: float(value) if np.isfinite(value) else None for name, value in given.items()}
    values = [given] * len(names) if isinstance(given, int | float) else list(given)
    if len(values) != len(names):
        raise FamilyError(f"{argument} needs one bound, or None, for each of the {len(names)} parameters")
    each = zip(names, values, strict=True)
    return {n: float(v) if np.isfinite(v) else None for n, v in each if v is not None}


# ---- functions
# --------------------------------------------------------------------------------------------------

LEADING = {"log_prob": "y", "cdf": "y", "log_tails": "y", "sample": "key"}
"""The first argument of those functions that have one besides parameters and additions."""


class _Call:
    """A function of the user's, called by the names of its arguments. ``extra``: those that additions supply, of which
    ``required`` have no default."""

    def __init__(self, family: str, kind: str, function: Callable[..., Any], dpars: tuple[str, ...]) -> None:
        self.family, self.kind, self.function = family, kind, function
        arguments = list(inspect.signature(function).parameters.values())
        leading = LEADING.get(kind)
        if leading is not None and not arguments:
            raise self.error(f"needs `{leading}` as its first argument")
        named = arguments if leading is None else arguments[1:]
        self.dpars: list[str] = []
        self.extra: list[str] = []
        self.required: list[str] = []
        for argument in named:
            if argument.kind is inspect.Parameter.VAR_KEYWORD:
                self.dpars = list(dpars)
            elif argument.name in dpars:
                self.dpars.append(argument.name)
            elif argument.name == "shape" and kind == "sample":
                continue
            elif ARRAYS.fullmatch(argument.name):
                self.extra.append(argument.name)
                self.required += [argument.name] if argument.default is inspect.Parameter.empty else []
            else:
                raise self.error(
                    f"takes `{argument.name}`, which is neither a parameter ({', '.join(dpars)}) nor supplied by an "
                    "addition (trials, dec, vreal1, vint1, ...)"
                )
        self.dpars = list(dict.fromkeys(self.dpars))
        self.shaped = any(argument.name == "shape" for argument in named)

    def error(self, what: str) -> FamilyError:
        """About this function."""
        return FamilyError(f"`{self.kind}` of the family `{self.family}` {what}")

    def __call__(self, p: Values, extra: Values, *leading: Array, **further: Any) -> Any:
        """Its value for parameters ``p`` and what additions supply."""
        given = {name: p[name] for name in self.dpars}
        given |= {name: extra[name] for name in self.extra if name in extra}
        return self.function(*leading, **given, **further)

    def of_parameters(self, p: Values, extra: Values) -> Array:
        """Its value, of the rows' shape even where nothing that it reads depends on the row."""
        return jnp.broadcast_to(self(p, extra), self._shape(p, extra))

    def draw(self, key: Array, p: Values, extra: Values) -> Array:
        """A draw of the shape to which parameters and additions broadcast."""
        return self(p, extra, key, **({"shape": self._shape(p, extra)} if self.shaped else {}))

    def _shape(self, p: Values, extra: Values) -> tuple[int, ...]:
        supplied = {name: extra[name] for name in self.extra if name in extra}
        return shape_of({name: p[name] for name in self.dpars}, supplied)

    def traced(self) -> str:
        """What the function computes, as text. Raises `FamilyError` when it fails or returns another shape than that
        of the rows."""
        rows = (TRIED_ROWS,)

        def tried(*arrays: Array) -> Any:
            named = dict(zip([*self.dpars, *self.extra], arrays[1:], strict=True))
            if self.kind == "sample":
                return self.draw(random.wrap_key_data(arrays[0]), named, named)
            return self(named, named, *([arrays[0]] if self.kind in LEADING else []))

        from ..inference.x64 import x64

        with x64():
            key = random.key_data(random.key(0))
            first = key if self.kind == "sample" else np.ones(rows)
            arrays = [np.full(rows, 0.5) for _ in (*self.dpars, *self.extra)]
            try:
                jaxpr, out = jax.make_jaxpr(tried, return_shape=True)(first, *arrays)
            except FamilyError:
                raise
            except Exception as error:
                raise self.error(
                    f"fails: {_first_line(error)}. Write it with jax.numpy, elementwise, without `if` on values"
                ) from error
        values = out if isinstance(out, tuple) else (out,)
        wanted = 2 if self.kind == "log_tails" else 1
        if len(values) != wanted or any(getattr(value, "shape", None) != rows for value in values):
            shown = ", ".join(str(getattr(value, "shape", type(value).__name__)) for value in values)
            what = "two arrays of shape" if wanted == 2 else "shape"
            raise self.error(
                f"returns {shown} for {TRIED_ROWS} rows; it must return {what} {rows}, one value for each row"
            )
        constants = [np.asarray(value).tobytes().hex() for value in jaxpr.consts]
        return re.sub(r"0x[0-9a-f]+", "", f"{self.kind}{jaxpr}{constants}")


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}".rstrip(".")


def _addition_of(array: str) -> str:
    return array.rstrip("0123456789")


def _kernel(
    log_prob: _Call, parameters: tuple[DistributionalParameter, ...]
) -> Callable[[Array, Values, Values, str], Array]:
    mu = next(p for p in parameters if p.name == "mu")
    low = -np.inf if mu.lower is None else mu.lower
    high = np.inf if mu.upper is None else mu.upper

    def kernel(y: Array, p: Values, extra: Values, link: str) -> Array:
        value = log_prob(p, extra, y)
        eta = p.get("eta")
        return value if eta is None else guarded(value, eta, link, low, high)

    return kernel


def _or_missing(calls: Mapping[str, _Call], kind: str, family: str, purpose: str) -> Callable[..., Array]:
    if kind not in calls:

        def missing(*arguments: Any) -> Array:
            raise BayesmlmError(
                f"the family `{family}` cannot {purpose}: give custom_family() a function `{kind}`"
            )

        return missing
    return calls[kind].draw if kind == "sample" else on_numpy(calls[kind].of_parameters, compiled=False)


def _tails(
    calls: Mapping[str, _Call], support: tuple[float, float], whole: bool
) -> Callable[[Array, Values, Values], tuple[Array, Array]] | None:
    """log P(Y <= y) and log P(Y > y) at any y, from what the user gave for y in the support."""
    call = calls.get("log_tails", calls.get("cdf"))
    if call is None:
        return None
    smallest, largest = support

    def tails(y: Array, p: Values, extra: Values) -> tuple[Array, Array]:
        at = jnp.floor(y) if whole else y
        inside = (at >= smallest) & (at < largest) & jnp.isfinite(at)
        somewhere = smallest if np.isfinite(smallest) else largest - 1 if np.isfinite(largest) else 0.0
        value = call(p, extra, jnp.where(inside, at, somewhere))
        below, above = value if call.kind == "log_tails" else (_log(value), _log(1 - value))
        over = at >= largest
        below = jnp.where(inside, below, jnp.where(over, 0.0, -np.inf))
        return below, jnp.where(inside, above, jnp.where(over, -np.inf, 0.0))

    return tails


def _log(x: Array) -> Array:
    """log(x), minus infinity with gradient zero where x is not positive."""
    return LINKS["identity"].log_mu(x)
