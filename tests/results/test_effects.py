"""Conditional effects: summaries of known draws, names and columns of brms, and what is refused."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import bayesmlm as bm
from bayesmlm.data.frame import Frame
from bayesmlm.families.registry import brmsfamily
from bayesmlm.model.design import build_design
from bayesmlm.results.effects import conditional_effects
from tests.support import reference

BETA = np.random.default_rng(0).normal([12.0, 4.0, 2.0, 2.5, -1.5], 0.3, (500, 5))
SEED = "mathach ~ meanses + sector*ses_cmc + (ses_cmc | id)"


class LinearFit:
    """A fit whose predictions are known: draws of five coefficients times columns of the new data."""

    def __init__(self):
        data = Frame.from_any(bm.load_dataset("hsbsub"))
        self.design = build_design(bm.bf(SEED), brmsfamily("gaussian"), data)
        self.formula = self.design.formula
        self.spec = SimpleNamespace(design=self.design)
        self.family = brmsfamily("gaussian")
        self.calls = []

    def posterior_epred(self, newdata, **arguments):
        self.calls.append((newdata, arguments))
        columns = [newdata[name].to_numpy(float) for name in ("meanses", "sector", "ses_cmc")]
        X = np.column_stack([np.ones(len(newdata)), *columns, columns[1] * columns[2]])
        return BETA @ X.T

    posterior_predict = posterior_linpred = posterior_epred


@pytest.fixture
def fit():
    return LinearFit()


def test_tables_have_the_columns_and_predictor_values_of_brms(fit):
    expected = reference("brms_seed_hsbsub_crlv_int")["conditional_effects"]
    effects = conditional_effects(fit)
    assert list(effects) == list(expected)
    assert len(fit.calls) == 1, "all effects are predicted at once: one shape to compile"
    for name, grid in expected.items():
        table = effects[name]
        assert list(table.columns) == [c for c in grid if c != "rownames"]
        for column in ("mathach", "meanses", "sector", "ses_cmc", "effect1__"):
            np.testing.assert_allclose(table[column].astype(float), grid[column], rtol=1e-12, atol=1e-12)
        assert table["id"].isna().all()
        if "effect2__" in grid:
            assert list(table["effect2__"].astype(str)) == grid["effect2__"]
            assert list(table["effect2__"].cat.categories) == ["0.68", "0", "-0.68"]


@pytest.mark.parametrize("robust", [True, False])
def test_estimates_are_summaries_of_the_draws(fit, robust):
    table = conditional_effects(fit, "meanses", prob=0.8, robust=robust, resolution=3)["meanses"]
    row = table.iloc[1]
    x = [1.0, row["meanses"], row["sector"], row["ses_cmc"], row["sector"] * row["ses_cmc"]]
    draws = BETA @ np.array(x, dtype=float)
    mad = 1.4826 * np.median(np.abs(draws - np.median(draws)))
    centre, spread = (np.median(draws), mad) if robust else (draws.mean(), draws.std(ddof=1))
    expected = [centre, spread, *np.quantile(draws, [0.1, 0.9])]
    np.testing.assert_allclose(row[["estimate__", "se__", "lower__", "upper__"]].astype(float), expected)


def test_labels_of_the_second_variable_can_be_given(fit):
    named = {"sector": {"public": 0, "catholic": 1}}
    table = conditional_effects(fit, "ses_cmc:sector", int_conditions=named, resolution=2)["ses_cmc:sector"]
    assert list(table["effect2__"]) == ["public", "catholic"] * 2
    assert list(table["sector"]) == [0, 1, 0, 1]


def test_transform_and_spaghetti(fit):
    plain = conditional_effects(fit, "meanses", robust=False)["meanses"]
    squared = conditional_effects(
        fit, "meanses", method="posterior_predict", transform=np.square, spaghetti=True
    )
    details = squared.details["meanses"]
    assert details.draws.shape == (500, 100)
    np.testing.assert_allclose(np.sqrt(details.draws).mean(axis=0), plain["estimate__"])
    np.testing.assert_allclose(details.points["resp__"], fit.design.response.values**2)


def test_surfaces_have_two_grids_and_lose_what_is_too_far(fit):
    whole = conditional_effects(fit, "ses_cmc:meanses", surface=True, resolution=20)
    near = conditional_effects(fit, "ses_cmc:meanses", surface=True, resolution=20, too_far=0.1)
    assert len(whole["ses_cmc:meanses"]) == 400
    assert 0 < len(near["ses_cmc:meanses"]) < 400
    assert whole.details["ses_cmc:meanses"].surface


def test_arguments_go_to_the_prediction(fit):
    conditional_effects(fit, "meanses", re_formula=None, ndraws=7, dpar="sigma", conditions={"sector": 1})
    newdata, arguments = fit.calls[-1]
    assert arguments == {"re_formula": None, "allow_new_levels": True, "dpar": "sigma", "ndraws": 7}
    assert set(newdata.columns) == {"meanses", "sector", "ses_cmc", "id"}
    assert (newdata["sector"] == 1).all()


def test_trials_are_set_to_one_with_a_message(capsys):
    formula = "incidence | trials(size) ~ period + (1 | herd)"
    design = build_design(bm.bf(formula), brmsfamily("binomial"), Frame.from_any(bm.load_dataset("cbpp")))
    fit = SimpleNamespace(
        design=design,
        formula=design.formula,
        spec=SimpleNamespace(design=design),
        family=brmsfamily("binomial"),
        posterior_epred=lambda newdata, **_: np.ones((3, 1)) * newdata["size"].to_numpy(),
    )
    table = conditional_effects(fit)["period"]
    assert "Setting all 'trials' variables to 1" in capsys.readouterr().err
    assert (table["estimate__"] == 1).all()
    assert (conditional_effects(fit, conditions={"size": 10})["period"]["estimate__"] == 10).all()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "epred"}, "method='epred' is none of posterior_epred"),
        ({"spaghetti": True, "surface": True}, "exclude each other"),
        ({"transform": np.exp}, "transform needs"),
        ({"categorical": True}, "categorical and ordinal families"),
        ({"resolution": 1}, "resolution=1 must be at least 2"),
        ({"select_points": 2}, "must lie between 0 and 1"),
        ({"prob": 95}, "must lie between 0 and 1"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(fit, options, message):
    with pytest.raises(bm.BayesmlmError, match=message):
        conditional_effects(fit, "meanses", **options)


def test_effects_print_and_show(fit):
    effects = conditional_effects(fit, ["meanses", "sector"], resolution=3)
    assert "meanses: mathach, 3 rows" in repr(effects)
    assert effects._repr_html_().count("<img") == 2
    with pytest.raises(bm.BayesmlmError, match="no effect `x` here; there are meanses, sector"):
        effects["x"]
    assert isinstance(effects["meanses"], pd.DataFrame)
