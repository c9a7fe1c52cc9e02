"""The DataTree's layout, brms's flat names in brms's order, and draws as data frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from bayesmlm.errors import BayesmlmError
from bayesmlm.results import layout

from .helpers import tree, variables

DIMS = {
    "b": ("coef",),
    "b_Intercept": (),
    "Intercept": (),
    "b_sigma": ("sigma_coef",),
    "b_sigma_Intercept": (),
    "Intercept_sigma": (),
    "sd_Subject": ("Subject_coef",),
    "r_Subject": ("Subject_level", "Subject_coef"),
    "sd_day:week": ("day:week_coef",),
    "r_day:week": ("day:week_level", "day:week_coef"),
    "sd_Subject__sigma": ("Subject__sigma_coef",),
    "r_Subject__sigma": ("Subject_level", "Subject__sigma_coef"),
    "cor_Subject": ("Subject_pair",),
    "nu": (),
}

FLAT = [
    "b_Intercept",
    "b_sigma_Intercept",
    "b_Days",
    "b_sigma_Days",
    "sd_Subject__Intercept",
    "sd_Subject__Days",
    "sd_Subject__sigma_Intercept",
    "sd_day:week__Intercept",
    "cor_Subject__Intercept__Days",
    "cor_Subject__Intercept__sigma_Intercept",
    "cor_Subject__Days__sigma_Intercept",
    "nu",
    "Intercept",
    "Intercept_sigma",
    "r_Subject[308,Intercept]",
    "r_Subject[309,Intercept]",
    "r_Subject[new.york,Intercept]",
    "r_Subject[308,Days]",
    "r_Subject[309,Days]",
    "r_Subject[new.york,Days]",
    "r_Subject__sigma[308,Intercept]",
    "r_Subject__sigma[309,Intercept]",
    "r_Subject__sigma[new.york,Intercept]",
    "r_day:week[a_1,Intercept]",
    "r_day:week[b_1,Intercept]",
    "lprior",
    "lp__",
]


def test_groups_dimensions_and_coordinates() -> None:
    fitted = tree()
    assert list(fitted.children) == [
        "posterior",
        "sample_stats",
        "log_prior",
        "observed_data",
        "constant_data",
    ]
    posterior = fitted["posterior"].dataset
    assert {str(name): array.dims[2:] for name, array in posterior.data_vars.items()} == DIMS
    assert all(array.dims[:2] == ("chain", "draw") for array in posterior.values())
    labels = [coord for name, coord in posterior.coords.items() if name not in ("chain", "draw")]
    assert all(coord.dtype.kind == "U" for coord in labels)
    assert list(posterior["Subject_pair"].to_numpy()) == [
        "Intercept__Days",
        "Intercept__sigma_Intercept",
        "Days__sigma_Intercept",
    ]
    assert not any("/" in str(name) for group in fitted.children.values() for name in group.dataset.variables)
    assert fitted["observed_data"]["Reaction"].dims == ("obs_id",)


def test_flat_names_are_those_of_brms_in_its_order() -> None:
    assert list(layout.flat_names(tree())) == FLAT


def test_by_variable_has_standard_deviations_for_each_level_of_it() -> None:
    by = [
        layout.group_sds("g", ("Intercept:u", "Intercept:v"), by=True),
        layout.group_effects("g", ("1", "2", "3"), ("Intercept",)),
    ]
    names = list(layout.flat_names(tree(which=by)))
    assert names[:3] == ["sd_g__Intercept:u", "sd_g__Intercept:v", "r_g[1,Intercept]"]


def test_flat_draws_are_the_entries_they_name() -> None:
    fitted = tree()
    posterior = fitted["posterior"].dataset
    cases = {
        "b_sigma_Days": posterior["b_sigma"].sel(sigma_coef="Days"),
        "r_Subject[new.york,Days]": posterior["r_Subject"].sel(Subject_level="new york", Subject_coef="Days"),
        "cor_Subject__Days__sigma_Intercept": posterior["cor_Subject"].sel(
            Subject_pair="Days__sigma_Intercept"
        ),
        "lp__": fitted["sample_stats"]["lp"],
    }
    frame = layout.as_draws_df(fitted)
    assert list(frame.columns) == [*FLAT, ".chain", ".iteration", ".draw"]
    for name, expected in cases.items():
        np.testing.assert_array_equal(frame[name], expected.to_numpy().ravel())
    assert frame.loc[50, [".chain", ".iteration", ".draw"]].tolist() == [2, 1, 51]


@pytest.mark.parametrize(
    ("wanted", "regex", "expected"),
    [
        ("b_Days", False, ["b_Days"]),
        (["nu", "b_Days", "nu"], False, ["nu", "b_Days"]),
        ("r_day:week", False, FLAT[23:25]),
        ("^sd_Subject", True, FLAT[4:7]),
    ],
)
def test_selection(wanted: str | list[str], regex: bool, expected: list[str]) -> None:
    assert list(layout.select(tree(), wanted, regex)) == expected


@pytest.mark.parametrize(
    ("wanted", "regex", "message"),
    [
        ("b_Dyas", False, "did you mean `b_Days`"),
        ("^zz", True, "pattern `\\^zz`"),
        ("(", True, "not a regular"),
    ],
)
def test_unknown_draws_are_refused_with_what_there_is(wanted: str, regex: bool, message: str) -> None:
    with pytest.raises(BayesmlmError, match=message):
        layout.select(tree(), wanted, regex)


def test_layout_survives_a_file(tmp_path: Path) -> None:
    tree().to_netcdf(tmp_path / "fit.nc")
    with xr.open_datatree(tmp_path / "fit.nc") as read:
        assert list(layout.flat_names(read)) == FLAT


def test_nuts_parameters_have_the_names_of_brms() -> None:
    frame = layout.nuts_params(tree(chains=2, draws=3))
    assert list(frame.columns) == ["Chain", "Iteration", "Parameter", "Value"]
    assert frame.groupby("Parameter").size().to_dict() == {"divergent__": 6, "energy__": 6, "n_leapfrog__": 6}
    assert frame.loc[frame.Parameter == "n_leapfrog__", "Value"].eq(7).all()


def test_a_name_that_would_stand_for_two_things_is_refused() -> None:
    clash = [layout.population(("x",), "sigma"), layout.group_sds("sigma", ("Intercept",))]
    with pytest.raises(BayesmlmError, match="rename the grouping column"):
        tree(which=clash)


def test_the_page_on_results_lists_every_kind_of_variable() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "results.md").read_text()
    generic = {v.name.replace("Subject", "<group>").replace("sigma", "<dpar>") for v in variables()}
    generic -= {"r_day:week", "sd_day:week", "nu"}
    missing = [name for name in sorted(generic) if f"`{name}`" not in page]
    assert not missing
    assert all(f"`{group}`" in page for group in tree().children)
