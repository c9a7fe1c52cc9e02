"""Thresholds in the model: default priors and design arrays against brms 2.18, `thres()`, and what is refused."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import bayesmlm as bm
from bayesmlm import families
from bayesmlm.bayes import prepare, sampler_settings, specification
from bayesmlm.data.frame import Frame
from bayesmlm.errors import BayesmlmError, DataError, FormulaError, NewDataError, PriorError
from bayesmlm.model.initial import initial_values
from bayesmlm.model.parts.thresholds import Thresholds
from bayesmlm.results.unconstrain import _unconstrain

from ..compiling import quickly
from ..support import reference

MODELS = reference("ordinal_brms")["models"]
TABLES = [
    table
    for table in reference("brms_default_priors_A")["tables"]
    if table["data"] == "inhaler.csv"
    and "cs(" not in table["formula"]
    and "categorical" not in table["family"]
]


@pytest.fixture(scope="module")
def inhaler():
    data = bm.load_dataset("inhaler")
    data["part"] = np.where(np.arange(len(data)) % 2, "b", "a")
    data["count"] = np.where(data["part"] == "a", 3, 4)
    return data


@pytest.mark.parametrize("model", MODELS, ids=lambda m: f"{m['formula']} {m['family']}")
def test_default_priors_and_design_are_brms_ones(model, inhaler):
    same_table(bm.default_prior(model["formula"], inhaler, model["family"]).to_frame(), model["prior"])
    arrays = bm.standata(model["formula"], inhaler, model["family"])
    for key, value in model["standata"].items():
        found = np.asarray(arrays[key])
        found = found[:4] if found.ndim == 2 else found
        np.testing.assert_allclose(found, value, err_msg=key)


def same_table(ours, expected):
    """Cell by cell; a column of one value may be written once."""
    for name in ours.columns:
        cells = expected[name]
        assert list(ours[name]) == ([cells] * len(ours) if isinstance(cells, str) else cells), name


@pytest.mark.parametrize("table", TABLES, ids=lambda t: f"{t['formula']} {t['family']}")
def test_tables_of_the_reference(table, inhaler):
    formula = table["formula"]
    given = bm.bf("rating ~ treat", "disc ~ 0 + period") if formula.startswith("bf(") else formula
    same_table(bm.default_prior(given, inhaler, table["family"]).to_frame(), table["prior_table"])


def spec_of(formula, data, family, prior=None):
    return specification(prepare(formula, data, family), prior)


@pytest.mark.parametrize(
    ("formula", "family"),
    [
        ("rating ~ treat", "cumulative"),
        ("rating ~ treat", "acat(threshold = 'equidistant')"),
        ("rating ~ treat", "cumulative(threshold = 'sum_to_zero')"),
        ("rating | thres(count, gr = part) ~ treat", "cumulative"),
        ("rating | thres(count, gr = part) ~ treat", "cumulative(threshold = 'equidistant')"),
    ],
)
def test_density_is_that_of_its_definition(formula, family, inhaler):
    """The potential at a point against priors and log probabilities written out; and the way back from a draw."""
    spec = spec_of(formula, inhaler, family, bm.set_prior("normal(0, 2)", class_="b"))
    structure, rng = spec.structure, np.random.default_rng(4)
    part = structure.parts[0]
    assert isinstance(part, Thresholds)

    @quickly
    def evaluate(q, data):
        draw = structure.constrain(q, data)
        back = _unconstrain(structure, draw, data)
        return structure.transformed(q, data), draw, back, -structure.potential(q, data)

    with jax.enable_x64(True):
        q = rng.normal(size=structure.dimension)
        found = jax.device_get(evaluate(q, spec.data))
    (values, log_priors, jacobian), draw, back, log_density = found
    np.testing.assert_allclose(back, q, rtol=1e-10)
    vector = part.vectors[0]
    tau, b = draw["b_Intercept"], float(values["b"][0])
    treat = inhaler["treat"].to_numpy()
    by_row = np.zeros(len(treat), dtype=int) if part.groups.codes is None else part.groups.codes
    starts = np.cumsum([0, *vector.counts])
    record = structure.family
    terms = []
    for row in range(0, len(treat)):
        own = tau[starts[by_row[row]] : starts[by_row[row] + 1]]
        # Of the logit link the families' definitions, see families/ordinal.py.
        up_to = 1 / (1 + np.exp(-(own - b * treat[row])))
        y = int(inhaler["rating"].iloc[row])
        if record.name == "cumulative":
            chances = np.diff([0, *up_to, 1])
        else:
            weights = np.exp(np.cumsum([0, *(b * treat[row] - own)]))
            chances = weights / weights.sum()
        terms.append(np.log(chances[y - 1]))
    expected = sum(map(float, log_priors.values())) + float(jacobian) + sum(terms)
    assert float(log_density) == pytest.approx(expected, rel=1e-12)


def test_thresholds_are_centred_as_intercepts_are(inhaler):
    spec = spec_of("rating ~ treat + period", inhaler, "cumulative")
    means = inhaler[["treat", "period"]].mean().to_numpy()
    np.testing.assert_allclose(spec.design.predictors["mu"].means, means)
    for family in ("cumulative(threshold = sum_to_zero)", "cumulative"):
        formula = bm.bf("rating ~ treat", center=False) if family == "cumulative" else "rating ~ treat"
        assert not np.any(prepare(formula, inhaler, family).predictors["mu"].means)


REFUSED = [
    ("rating ~ 0 + treat", FormulaError, "stand in the place of the intercept, which cannot be removed"),
    ("rating | thres(2) ~ treat", DataError, "gives 2 thresholds, too few for the response, which is 4"),
    (
        "rating | thres(count) ~ treat",
        DataError,
        r"one number for all rows; it is 3 and 4; groups .* `thres\(x, gr = g\)`",
    ),
    ("rating | thres(1.5) ~ treat", FormulaError, "needs whole numbers"),
    ("rating | thres() ~ treat", FormulaError, "needs a number or a variable"),
    ("rating | cat(3, gr = part) ~ treat", FormulaError, "takes a number of categories"),
]


@pytest.mark.parametrize(("formula", "error", "message"), REFUSED)
def test_what_makes_no_sense_is_refused(formula, error, message, inhaler):
    with pytest.raises(error, match=message):
        prepare(formula, inhaler, "cumulative")


def test_priors_that_ordered_thresholds_cannot_have(inhaler):
    bounded = bm.set_prior("normal(0, 1)", class_="Intercept", lb=0)
    with pytest.raises(PriorError, match="have no bounds to set"):
        spec_of("rating ~ treat", inhaler, "cumulative", bounded)
    one = bm.set_prior("constant(1)", class_="Intercept", coef="1")
    with pytest.raises(PriorError, match="fix all of them or none"):
        spec_of("rating ~ treat", inhaler, "cumulative", one)
    each = [bm.set_prior(f"constant({k})", class_="Intercept", coef=str(k)) for k in (1, 2, 3)]
    assert spec_of("rating ~ treat", inhaler, "cumulative", each).structure.dimension == 1
    assert spec_of("rating ~ treat", inhaler, "acat", one).structure.dimension == 3


def test_new_rows_belong_to_known_groups(inhaler):
    design = prepare("rating | thres(gr = part) ~ treat", inhaler, "cumulative")
    arrays, _ = design.new_arrays(Frame.from_any(inhaler.iloc[[1, 0]]))
    assert arrays["parts"]["thresholds"]["codes"].tolist() == [1, 0]
    with pytest.raises(NewDataError, match=r"`thres\(gr = \)` is `zz` in row 1 .*of the new data"):
        design.new_arrays(Frame.from_any(inhaler.iloc[:1].assign(part="zz")))


def test_starting_values_are_thresholds_in_order(inhaler):
    spec = spec_of("rating ~ treat", inhaler, "cumulative")
    settings = sampler_settings(1, 10, None, 1, None, 1, None)
    start = initial_values(spec, settings, {"Intercept": [-1.0, 0.5, 2.0], "b": [0.3]}).init
    with jax.enable_x64(True):
        values = quickly(spec.structure.transformed)(start[0], spec.data)[0]
    np.testing.assert_allclose(values["Intercept"], [-1.0, 0.5, 2.0], rtol=1e-12)
    with pytest.raises(BayesmlmError, match="outside the parameter's support"):
        initial_values(spec, settings, {"Intercept": [1.0, 0.5, 2.0]})


def test_constructors_are_brms_ones():
    for name in ("cumulative", "sratio", "cratio", "acat", "hurdle_cumulative"):
        made = getattr(families, name)("probit", threshold="equidistant")
        assert made == bm.brmsfamily(name, "probit", threshold="equidistant")
        assert (made.mu_link, made.options["threshold"]) == ("probit", "equidistant")


def test_only_priors_need_a_proper_distance(inhaler):
    design = prepare("rating ~ 1", inhaler, "cumulative(threshold = equidistant)")
    with pytest.raises(PriorError, match="flat are: delta"):
        specification(design, None, "only")
    specification(design, bm.set_prior("exponential(1)", class_="delta"), "only")
