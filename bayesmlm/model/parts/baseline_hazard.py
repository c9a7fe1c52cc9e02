"""The baseline hazard of proportional hazards models: M-splines whose coefficients are simplexes, ``bhaz()``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...data.levels import group_codes, listing, match_codes
from ...errors import FormulaError, NewDataError
from ...families.lazy import jnp
from ...families.spline_hazard import MSplines
from ...formula.nodes import Call, Name, Node, Number, Unary
from ...priors.prior import Prior
from ...results.layout import Variable, quantity
from .simplex import simplex_site

if TYPE_CHECKING:
    from ...data.frame import Frame
    from ...priors.resolve import ResolvedPriors
    from ..design import Design
    from ..site import Site
    from .part import PriorVector

__all__ = ["BaselineHazard", "baseline_hazard"]

Array = Any
Values = Mapping[str, Array]
Numbers = NDArray[np.float64]

ARGUMENTS = ("gr", "df", "knots", "degree", "intercept", "Boundary.knots")
DF, DEGREE = 5, 3


@dataclass(frozen=True, eq=False)
class BaselineHazard:
    """One hazard, or one for each of the ``levels`` of the variable ``group``, whose code in each row is ``codes``.

    All are made of the same ``splines``, each with a simplex of coefficients of its own.
    """

    splines: MSplines
    group: str = ""
    levels: tuple[str, ...] = ()
    codes: NDArray[np.int32] | None = None

    @property
    def name(self) -> str:
        """Of its arrays."""
        return "baseline_hazard"

    @property
    def key(self) -> str:
        """Sizes; knots are numbers."""
        return f"{self.name}{self.splines.density.shape}{len(self.levels)}"

    def prior_rows(self) -> tuple[Prior, ...]:
        """One row for all simplexes, and an empty one for each level."""
        rows = [Prior("dirichlet(1)", "sbhaz", lb="", ub="", source="default")]
        rows += [Prior("", "sbhaz", group=level, lb="", ub="", source="default") for level in self.levels]
        return tuple(rows)

    def prior_vectors(self) -> tuple[PriorVector, ...]:
        """None: the elements of a simplex have no priors of their own."""
        return ()

    def sites(self, priors: ResolvedPriors) -> list[Site]:
        """``sbhaz``: (splines,), or (levels, splines)."""
        from ..site import Site

        size = self.splines.count
        if not self.levels:
            names = tuple(f"sbhaz[{k}]" for k in range(1, size + 1))
            return [simplex_site("sbhaz", names, priors.concentration("sbhaz", "", "", size))]
        each = [priors.concentration("sbhaz", "", level, size) for level in self.levels]
        # Names of the coordinates first: the last element of a simplex follows from the others.
        names = tuple(f"sbhaz[{level},{k}]" for level in self.levels for k in range(1, size))
        names += tuple(f"sbhaz[{level},{size}]" for level in self.levels)
        shape = (len(self.levels), size)
        texts = dict.fromkeys(simplex_site("", names[:size], one).text for one in each)
        constants = {"concentration": np.array(each)}
        free = (len(self.levels), size - 1)
        return [Site("sbhaz", "simplex", shape, free, names, constants=constants, text=", ".join(texts))]

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """Knots and the splines' coefficients, the same for all rows, and the rows' groups."""
        shared: dict[str, NDArray[Any]] = {
            "breaks": self.splines.breaks[:, None],
            "density": self.splines.density[..., None],
            "integral": self.splines.integral[..., None],
        }
        return shared if self.codes is None else {**shared, "codes": self.codes}

    def new_arrays(self, design: Design, frame: Frame) -> Mapping[str, NDArray[Any]]:
        """The same splines, and the groups of new rows. Raises `NewDataError` for a level that was not there."""
        if not self.levels:
            return self.arrays()
        if self.group not in frame.columns:
            raise NewDataError(f"the new data have no column `{self.group}`, which the model needs")
        codes = match_codes(frame, (self.group,), self.levels)
        unknown = np.flatnonzero(codes < 0)
        if unknown.size:
            raise NewDataError(
                f"`{self.group}` in {frame.row_name(int(unknown[0]))} is missing or a level without a baseline "
                f"hazard: {listing(self.levels)} have one"
            )
        return {**self.arrays(), "codes": codes}

    def parameters(self, values: Values, arrays: Values, natural: Values) -> dict[str, Array]:
        """What `spline_hazard.hazard` takes: knots and the coefficients of the hazard on each interval."""
        sbhaz = jnp.atleast_2d(values["sbhaz"])
        tables = {
            f"hazard_{name}": jnp.einsum("jmk,gk->jmg", arrays[name][..., 0], sbhaz)
            for name in ("density", "integral")
        }
        if "codes" in arrays:
            tables = {name: table[:, :, arrays["codes"]] for name, table in tables.items()}
        return {"hazard_breaks": arrays["breaks"], **tables}

    def standata(self, times: Numbers) -> dict[str, Any]:
        """brms's arrays: M-splines and I-splines at the ``times``, rows first."""
        out: dict[str, Any] = {
            "Zbhaz": self.splines.evaluate(times).T,
            "Zcbhaz": self.splines.evaluate(times, integrate=True).T,
            "Kbhaz": self.splines.count,
        }
        if self.codes is None:
            return out
        return {**out, "ngrbhaz": len(self.levels), "Jgrbhaz": self.codes.astype(np.int64) + 1}

    def derived(self, values: Values, means: Mapping[str, Array]) -> dict[str, Array]:
        """Nothing."""
        return {}

    def hidden(self, values: Values) -> dict[str, Array]:
        """Nothing."""
        return {}

    def variables(self) -> list[tuple[Variable, str]]:
        """``sbhaz`` [sbhaz_dim], with groups ``sbhaz`` [sbhaz_group, sbhaz_dim]."""
        labels = tuple(str(k) for k in range(1, self.splines.count + 1))
        if not self.levels:
            return [(quantity("sbhaz", labels), "sbhaz")]
        return [(Variable("sbhaz", "dpar", ("sbhaz_group", "sbhaz_dim"), (self.levels, labels)), "sbhaz")]


def baseline_hazard(design: Design) -> BaselineHazard:
    """The baseline hazard of ``design``, as ``bhaz()`` says. Raises `FormulaError` for arguments that make no basis."""
    source = design.formula.main.source
    call = design.formula.main.addition("bhaz")
    given = {} if call is None else _arguments(call, source)
    splines = _splines(given, design.response.values, source)
    group = given.get("gr")
    if group is None:
        return BaselineHazard(splines)
    if not isinstance(group, Name):
        raise FormulaError(
            "`gr` in bhaz() is the name of a variable, of whose levels each has a baseline",
            source,
            group.span,
        )
    codes, levels = group_codes(design.frame, (group.name,))
    return BaselineHazard(splines, group.name, levels, codes)


def _arguments(call: Call, source: str) -> dict[str, Node]:
    """By name; those without one take the free names in order. NA and NULL are none."""
    out: dict[str, Node] = {}
    for argument in call.arguments:
        free = [name for name in ARGUMENTS if name not in out]
        name = argument.name or (free[0] if free else "")
        if name not in ARGUMENTS or name in out or argument.value is None:
            raise FormulaError(f"`bhaz()` takes {', '.join(ARGUMENTS)}", source, argument.span)
        out[name] = argument.value
    nothing = [n for n, value in out.items() if isinstance(value, Name) and value.name in ("NA", "NULL")]
    return {name: value for name, value in out.items() if name not in nothing}


def _splines(given: Mapping[str, Node], times: Numbers, source: str) -> MSplines:
    """The basis of splines2 as brms calls it: boundary knots a fiftieth of the range outside the times, but not
    negative; inner knots at their quantiles."""
    degree = _whole(given, "degree", DEGREE, 0, source)
    intercept = _flag(given, "intercept", source)
    spread = (times.max() - times.min()) / 50
    boundary = _numbers(given, "Boundary.knots", source)
    if boundary is None:
        boundary = [max(times.min() - spread, 0.0), times.max() + spread]
    elif len(boundary) != 2:
        raise FormulaError(
            "`Boundary.knots` are two numbers, c(lower, upper)", source, given["Boundary.knots"].span
        )
    knots = _numbers(given, "knots", source)
    if knots is None:
        smallest = degree + intercept
        df = _whole(given, "df", max(DF, smallest), smallest, source)
        inside = times[(times >= boundary[0]) & (times <= boundary[1])]
        between = np.linspace(0, 1, df - smallest + 2)[1:-1]
        knots = np.quantile(inside, between).tolist() if len(inside) else []
    increasing = np.array([boundary[0], *knots, boundary[1]])
    if boundary[0] < 0 or not (np.diff(increasing) > 0).all():
        shown = ", ".join(f"{k:g}" for k in increasing)
        raise FormulaError(
            f"the knots of the baseline hazard, {shown}, must increase and not be negative: give fewer (df), or "
            "others (knots, Boundary.knots) in bhaz()"
        )
    return MSplines.build((boundary[0], boundary[1]), knots, degree, intercept)


def _whole(given: Mapping[str, Node], name: str, default: int, least: int, source: str) -> int:
    if name not in given:
        return default
    node = given[name]
    if not isinstance(node, Number) or node.value != int(node.value) or node.value < least:
        raise FormulaError(f"`{name}` in bhaz() is a whole number of at least {least}", source, node.span)
    return int(node.value)


def _flag(given: Mapping[str, Node], name: str, source: str) -> bool:
    node = given.get(name, Name("TRUE"))
    if not isinstance(node, Name) or node.name not in ("TRUE", "T", "FALSE", "F"):
        raise FormulaError(f"`{name}` in bhaz() is TRUE or FALSE", source, node.span)
    return node.name in ("TRUE", "T")


def _numbers(given: Mapping[str, Node], name: str, source: str) -> list[float] | None:
    """A number or ``c(...)`` of numbers."""
    if name not in given:
        return None
    node = given[name]
    parts = [a.value for a in node.arguments] if isinstance(node, Call) and node.function == "c" else [node]
    values = [_number(part) for part in parts]
    if None in values:
        raise FormulaError(f"`{name}` in bhaz() is a number or c(...) of numbers", source, node.span)
    return [value for value in values if value is not None]


def _number(node: Node | None) -> float | None:
    match node:
        case Number(value=value):
            return float(value)
        case Unary(operator="-", operand=Number(value=value)):
            return -float(value)
    return None
