"""What can go wrong with files, and that whatever a model needs to be rebuilt is in them."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd
import pytest

import bayesmlm as bm

SHORT = {"chains": 1, "iter": 40, "seed": 1, "progress": False}


def frame(n=40):
    rng = np.random.default_rng(3)
    text = [f"t{i % 3}" for i in range(n)]
    ordered = pd.Categorical(
        [["lo", "mid", "hi"][i % 3] for i in range(n)], ["lo", "mid", "hi"], ordered=True
    )
    x = rng.normal(size=n)
    return pd.DataFrame({"y": x + rng.normal(size=n), "x": x, "text": text, "size": ordered, "yes": x > 0})


def test_whatever_the_formula_needs_survives_a_file(tmp_path):
    data = frame()
    formula = bm.bf("yes ~ poly(x, 2) + text * scale(y) + size + (1 | text)", center=False)
    priors = [bm.set_prior("normal(0, 2)"), bm.set_prior("exponential(1)", class_="sd")]
    fit = bm.brm(
        formula, data, bm.brmsfamily("bernoulli", link="probit"), priors, contrasts={"text": "sum"}, **SHORT
    )
    fit.save(tmp_path / "fit")
    again = bm.load(tmp_path / "fit")
    assert str(again.formula) == str(fit.formula)
    assert again.family == fit.family
    pd.testing.assert_frame_equal(again.prior_summary(), fit.prior_summary())
    new = data.iloc[:5]
    np.testing.assert_array_equal(again.posterior_epred(new), fit.posterior_epred(new))
    pd.testing.assert_frame_equal(again.data, fit.data)


def test_functions_of_the_user_are_asked_for_again(tmp_path):
    def double(x):
        return 2 * x

    fit = bm.brm("y ~ double(x)", frame(), functions={"double": double}, **SHORT)
    fit.save(tmp_path / "fit.nc")
    with pytest.raises(bm.BayesmlmError, match="double"):
        bm.load(tmp_path / "fit.nc")
    again = bm.load(tmp_path / "fit.nc", functions={"double": double})
    np.testing.assert_array_equal(again.posterior_epred(), fit.posterior_epred())


def test_a_save_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    fit = bm.brm("y ~ x", frame(), **SHORT)
    fit.save(tmp_path / "fit.nc")
    before = (tmp_path / "fit.nc").read_bytes()

    def fails(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(OSError, match="no space"):
        fit.save(tmp_path / "fit.nc")
    assert (tmp_path / "fit.nc").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["fit.nc"]


def test_a_full_disk_does_not_lose_a_finished_fit(tmp_path, monkeypatch):
    def fails(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "replace", fails)
    with pytest.warns(bm.BayesmlmWarning, match="no space"):
        fit = bm.brm("y ~ x", frame(), file=tmp_path / "fit", **SHORT)
    assert fit.ndraws == 20


@pytest.mark.validate
def test_columns_may_have_the_names_of_dimensions(tmp_path):
    data = frame().rename(columns={"y": "obs_id", "x": "chain", "text": "coef"})
    data["a/b"] = np.arange(len(data)) / 7.0
    fit = bm.brm("obs_id ~ chain + `a/b` + (chain | coef)", data, **SHORT)
    fit.save(tmp_path / "fit")
    again = bm.load(tmp_path / "fit")
    pd.testing.assert_frame_equal(again.as_draws_df(), fit.as_draws_df())
    assert fit.posterior_epred(data.iloc[:2]).shape == (20, 2)
    assert fit.summary().fixed.shape[0] == 3


@pytest.mark.parametrize("content", [b"", b"not a netCDF file", b"\x89HDF\r\n\x1a\n" + b"\0" * 100])
def test_files_that_are_no_fits_are_refused(tmp_path, content):
    (tmp_path / "fit.nc").write_bytes(content)
    with pytest.raises(bm.BayesmlmError, match="not a saved fit"):
        bm.load(tmp_path / "fit.nc")


def test_other_netcdf_files_and_missing_ones_are_refused(tmp_path):
    import xarray as xr

    xr.Dataset({"a": ("x", [1.0])}).to_netcdf(tmp_path / "other.nc", engine="h5netcdf")
    with pytest.raises(bm.BayesmlmError, match="not a fit saved by bayesmlm"):
        bm.load(tmp_path / "other.nc")
    with pytest.raises(bm.BayesmlmError, match="no file"):
        bm.load(tmp_path / "absent.nc")
