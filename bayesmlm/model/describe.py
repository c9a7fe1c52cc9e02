"""A model in words: text for the terminal, LaTeX for a notebook, NumPyro code for a colleague."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from ..families.additions import CENSORED, TRUNCATED
from .parts.missing import LatentResponse
from .parts.thresholds import Thresholds

if TYPE_CHECKING:
    from ..priors.distributions import PriorDensity
    from ..priors.vector import VectorPrior
    from .blocks import GroupBlock
    from .design import PredictorDesign
    from .spec import ModelSpec

__all__ = ["describe", "latex", "model_code"]


def describe(spec: ModelSpec) -> str:
    """Formula, family, data, and every parameter with its prior."""
    design = spec.design
    links = "; ".join(f"{name} = {p.link}" for name, p in design.predictors.items())
    lines = [
        f"Family:  {design.family.name} ({links})",
        "Formula: " + str(design.formula).replace("\n", "\n         "),
        f"Data:    {design.n} rows" + (f" ({design.rows_dropped} left out)" if design.rows_dropped else ""),
    ]
    for number, (block, choice) in enumerate(zip(design.blocks, spec.parameterisation, strict=True)):
        joined = ", ".join(c.label for c in block.columns)
        kind = "correlated" if block.has_correlations else "independent" if block.size > 1 else "one effect"
        lines.append(f"Group:   {block.group}: {len(block.levels)} levels x ({joined}), {kind}")
        if number in spec.integration.blocks:
            exact = spec.integration.exact
            how = "integrated out, drawn exactly after sampling" if exact else LAPLACE
            lines.append(f"         {how}")
        else:
            lines.append(
                f"         sampled, {choice}; not integrated out: {spec.integration.reasons[number]}"
            )
    rows = [row for row in parameter_rows(spec) if row[2]]
    widths = [max(len(row[i]) for row in [*rows, HEAD]) for i in range(2)]
    table = [f"  {row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]}" for row in [HEAD, *rows]]
    return "\n".join([*lines, "", *table])


HEAD = ("parameter", "size", "prior")
LAPLACE = "integrated out by Laplace's approximation, then drawn from the normal distribution at the mode"


def parameter_rows(spec: ModelSpec) -> list[tuple[str, str, str]]:
    """(name, size, prior) of every sampled parameter; elements with the same prior share a row."""
    rows: list[tuple[str, str, str]] = []
    blocks = {b.site: b for b in spec.design.blocks}
    for site in spec.structure.sites:
        if site.text:
            rows.append((site.name.removeprefix("L_"), " x ".join(map(str, site.shape)), site.text))
        elif site.kind == "lkj":
            block = blocks[site.name.removeprefix("L_")]
            size = f"{block.size} x {block.size}"
            eta = spec.priors.lkj(block.group)
            rows.append((f"cor_{block.group}", size, f"lkj({eta:g})"))
        elif site.kind == "standard_normal":
            block = blocks[site.name.removeprefix("z_")]
            rows.append((f"r_{block.group}", " x ".join(map(str, site.shape)), _effect_prior(block)))
        else:
            assert site.prior is not None
            rows += _vector_rows(site.names, site.prior.describe())
    return rows


def _vector_rows(names: tuple[str, ...], priors: tuple[str, ...]) -> list[tuple[str, str, str]]:
    by_prior: dict[str, list[str]] = {}
    for name, prior in zip(names, priors, strict=True):
        by_prior.setdefault("(flat)" if prior == "flat()" else prior, []).append(name)
    return [(", ".join(members), str(len(members)), prior) for prior, members in by_prior.items()]


def _effect_prior(block: GroupBlock) -> str:
    sd = f"sd_{block.group}"
    matrix = f"diag({sd}) cor_{block.group} diag({sd})" if block.has_correlations else f"diag({sd}^2)"
    return f"normal(0, {matrix})"


def latex(spec: ModelSpec) -> str:
    """The model in LaTeX: likelihood, linear predictors, group effects, priors."""
    design = spec.design
    names = [p.name for p in design.family.parameters]
    arguments = ", ".join(
        GREEK.get(n, rf"\mathrm{{{n}}}") + ("_i" if n in design.predictors else "") for n in names
    )
    lines = [
        rf"\mathrm{{{_escape(design.response.name)}}}_i &\sim \mathrm{{{design.family.name}}}({arguments})"
    ]
    for name, p in design.predictors.items():
        symbol = GREEK.get(name, rf"\mathrm{{{name}}}") + "_i"
        joint = design.family.joint_link and name in design.family.main
        left = symbol if joint or p.link == "identity" else rf"\mathrm{{{p.link}}}({symbol})"
        suffix = "" if name == "mu" else rf"_{{{GREEK.get(name, name)}}}"
        lines.append(rf"{left} &= {_latex_predictor(p, suffix)}")
    for block in design.blocks:
        group = _escape(block.group)
        lines.append(
            rf"r^{{\mathrm{{{group}}}}}_j &\sim \mathrm{{normal}}(0, \Sigma_{{\mathrm{{{group}}}}}), "
            rf"\quad j = 1, \ldots, {len(block.levels)}"
        )
    for name, _, prior in parameter_rows(spec):
        if not name.startswith("r_"):
            lines.append(rf"\mathrm{{{_escape(name)}}} &\sim \mathrm{{{_escape(prior)}}}")
    return "$$\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}$$"


GREEK = {"mu": r"\mu", "sigma": r"\sigma", "nu": r"\nu", "phi": r"\phi"}


def _escape(text: str) -> str:
    return (
        text.replace("\\", "")
        .replace("_", r"\_")
        .replace("^", r"\hat{}")
        .replace("%", r"\%")
        .replace("#", r"\#")
    )


def _latex_predictor(p: PredictorDesign, suffix: str) -> str:
    """``suffix`` tells the intercepts and coefficients of other parameters from those of mu."""
    terms = [rf"\mathrm{{Intercept}}{suffix}"] if p.has_intercept else []
    for c in p.coefficients:
        name = rf"\mathrm{{{_escape(c)}}}"
        terms.append(rf"b{'^' + suffix[1:] if suffix else ''}_{{{name}}} \, {name}_i")
    for group in p.groups:
        for name in group.names:
            times = "" if name == "Intercept" else rf" \, \mathrm{{{_escape(name)}}}_i"
            label = _escape(group.group)
            terms.append(
                rf"r^{{\mathrm{{{label}}}}}_{{\mathrm{{{label}}}[i], \mathrm{{{_escape(name)}}}}}{times}"
            )
    if p.offset is not None:
        terms.append(r"\mathrm{offset}_i")
    return " + ".join(terms) or "0"


def model_code(spec: ModelSpec) -> str:
    """The joint model written out as a NumPyro function, for reading."""
    extra = "".join(f", {name}" for name in spec.design.response.extra)
    lines = [f"def model(X, y, codes, Z{extra}):", *_prior_lines(spec), *_effect_lines(spec)]
    for parameter, p in spec.design.predictors.items():
        eta = " + ".join(_predictor_terms(spec, parameter, p)) or "0.0"
        if p.thresholds:
            lines.append(f"    {parameter} = {eta}  # {p.link} of probabilities, see the distribution")
            continue
        joint = spec.design.family.joint_link and parameter in spec.design.family.main
        inverse = "{}" if joint else INVERSE_LINKS.get(p.link, f"inverse_{p.link}({{}})")
        lines.append(f"    {parameter} = {inverse.format(eta)}")
    lines += [
        f"    {line}" for part in spec.design.parts if isinstance(part, Thresholds) for line in part.code()
    ]
    lines += [f"    {name} = {value:g}  # fixed" for name, value in spec.design.fixed.items()]
    if spec.structure.likelihood:
        lines += _adjustment_lines(spec)
        lines.append(f"    numpyro.sample('y', {spec.design.family.code}, obs=y){_notes(spec)}")
    return "\n".join(lines)


def _adjustment_lines(spec: ModelSpec) -> list[str]:
    """What `families.additions.adjusted` does, and the response that missing values are put into."""
    extra, lines = spec.design.response.extra, []
    if "se" in extra:
        lines.append("    sigma = jnp.sqrt(sigma**2 + se**2)")
    if "rate" in extra:
        names = [p.name for p in spec.design.family.parameters]
        lines.append("    mu = mu * rate")
        lines += ["    shape = shape * rate"] * ("shape" in names) + ["    sigma = sigma / rate"] * (
            "sigma" in names
        )
    for part in spec.structure.parts:
        if isinstance(part, LatentResponse):
            lines += part.code()
    return lines


def _notes(spec: ModelSpec) -> str:
    """What happens to the density of each row, as a comment."""
    response, notes = spec.design.response, []
    if any(name in response.extra for name in CENSORED):
        notes.append("of censored rows the probability of what is known")
    if any(name in response.extra for name in TRUNCATED):
        notes.append("divided by the probability of the bounds")
    if response.weights is not None:
        notes.append("log density times the weights")
    return f"  # {', '.join(notes)}" if notes else ""


def _prior_lines(spec: ModelSpec) -> list[str]:
    lines = []
    sizes = {
        f"L_{b.site}": (b.size, spec.priors.lkj(b.group)) for b in spec.design.blocks if b.has_correlations
    }
    for site in spec.structure.sites:
        if site.prior is not None:
            prior = _prior_code(site.prior)
        elif site.text:
            prior = site.text
        elif site.kind == "lkj":
            size, eta = sizes[site.name]
            prior = f"LKJCholesky({size}, {eta:g})"
        else:
            prior = f"Normal(0, 1).expand([{', '.join(map(str, site.shape))}])"
        order = "  # in increasing order" if site.kind == "ordered" else ""
        lines.append(f"    {_variable(site.name)} = numpyro.sample({site.name!r}, {prior}){order}")
    return lines


def _effect_lines(spec: ModelSpec) -> list[str]:
    lines = []
    for block in spec.design.blocks:
        sd, z, L, r = (_variable(f"{prefix}_{block.site}") for prefix in ("sd", "z", "L", "r"))
        effects = f"{z} @ ({sd}[:, None] * {L}).T" if block.has_correlations else f"{z} * {sd}"
        by = "" if block.by is None else f", one covariance for each level of {block.by.variable}"
        lines.append(f"    {r} = {effects}  # group effects of {block.group}{by}")
    return lines


def _predictor_terms(spec: ModelSpec, parameter: str, p: PredictorDesign) -> list[str]:
    suffix = "" if parameter == "mu" else f"_{parameter}"
    ordered = spec.design.ordered
    intercept = (
        f"ordered_Intercept[{ordered.index(parameter)}]" if parameter in ordered else f"Intercept{suffix}"
    )
    terms = [intercept] if p.has_intercept else []
    columns = f"X[{parameter!r}]"
    centred = f"({columns} - {columns}.mean(0))" if p.centred else columns
    terms += [f"{centred} @ b{suffix}"] if p.coefficients else []
    for group, slot in zip(p.groups, p.slots, strict=True):
        site = spec.design.blocks[slot.block].site
        effects = f"{_variable('r_' + site)}[codes[{site!r}], {slot.start}:{slot.stop}]"
        terms.append(f"({effects} * Z[{parameter!r}, {group.group!r}]).sum(-1)")
    return terms + (["offset"] if p.offset is not None else [])


def _variable(site: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in site)


INVERSE_LINKS = {"identity": "{}", "log": "jnp.exp({})", "logit": "jax.nn.sigmoid({})"}

NUMPYRO_NAMES = {
    "std_normal": "Normal",
    "student_t": "StudentT",
    "inv_gamma": "InverseGamma",
    "lognormal": "LogNormal",
    "double_exponential": "Laplace",
    "chi_square": "Chi2",
}
"""NumPyro's names of Stan's densities where they are not the capitalised ones."""


def _prior_code(prior: VectorPrior) -> str:
    elements = [_density_code(density, prior.lower, prior.upper) for density in prior.densities]
    if len(set(elements)) == 1:
        return elements[0] + (f".expand([{len(elements)}])" if len(elements) > 1 else "")
    return f"Vector({', '.join(elements)})"


def _density_code(density: PriorDensity | None, lower: float, upper: float) -> str:
    if density is None:
        return "ImproperUniform(real)" if lower == -inf else f"ImproperUniform(greater_than({lower:g}))"
    name = NUMPYRO_NAMES.get(density.name, density.name.title().replace("_", ""))
    if density.is_constant:
        return f"Delta({density.arguments[0]:g})"
    code = f"{name}({', '.join(f'{a:g}' for a in density.arguments)})"
    low, high = density.support
    bounds = [f"low={lower:g}"] * (lower > low) + [f"high={upper:g}"] * (upper < high)
    return f"TruncatedDistribution({', '.join([code, *bounds])})" if bounds else code
