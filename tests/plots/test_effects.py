"""Pictures of conditional effects: lines, bands, points, panels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import bayesmlm as bm
from bayesmlm.results.effects import ConditionalEffects, Effect

pytestmark = pytest.mark.filterwarnings("error")


def one_effect(first="numeric", second=None, conditions=("1",), draws=None, surface=False):
    """An effect with estimates that are easy to recognise: 1, 2, 3, ... with an interval of 1 either side."""
    x = np.linspace(0, 1, 5) if first == "numeric" else pd.Categorical(["a", "b", "c"])
    z = {None: [None], "factor": ["u", "v"], "numeric": [0.0, 1.0, 2.0]}[second]
    rows = [(i, k, c) for c in conditions for i in range(len(x)) for k in z]
    table = pd.DataFrame({"effect1__": pd.Series([x[i] for i, _, _ in rows])})
    if first == "factor":
        table["effect1__"] = pd.Categorical(table["effect1__"], categories=list("abc"))
    if second is not None:
        own = [k for _, k, _ in rows]
        table["effect2__"] = own if surface else pd.Categorical([str(k) for k in own])
    table["cond__"] = pd.Categorical([c for _, _, c in rows], categories=list(conditions))
    table["estimate__"] = np.arange(1.0, len(table) + 1)
    table["lower__"], table["upper__"] = table["estimate__"] - 1, table["estimate__"] + 1
    points = table.drop(columns=["estimate__", "lower__", "upper__"]).assign(resp__=0.5)
    names = ("x",) if second is None else ("x", "z")
    return ConditionalEffects({":".join(names): Effect(table, names, "y", points, draws, surface)})


def test_a_line_with_its_band():
    effects = one_effect()
    (figure,) = effects.plot(points=True, rug=True)
    (ax,) = figure.axes
    line = next(line for line in ax.lines if len(line.get_xdata()) == 5 and line.get_linestyle() == "-")
    np.testing.assert_array_equal(line.get_ydata(), [1, 2, 3, 4, 5])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x", "y")
    band = np.concatenate([path.vertices for path in ax.collections[1].get_paths()])
    assert {0.0, 6.0} <= set(band[:, 1])


def test_levels_with_intervals_and_points_beside_each_other():
    (figure,) = one_effect("factor", "factor").plot()
    (ax,) = figure.axes
    assert [t.get_text() for t in ax.get_xticklabels()] == ["a", "b", "c"]
    np.testing.assert_allclose(ax.lines[0].get_xdata(), [-0.2, 0.8, 1.8])
    np.testing.assert_array_equal(ax.lines[1].get_ydata(), [2, 4, 6])
    assert ax.get_legend().get_title().get_text() == "z"


def test_conditions_make_panels_with_their_labels():
    (figure,) = one_effect(second="factor", conditions=("low", "middle", "high", "top")).plot(points=True)
    seen = [ax for ax in figure.axes if ax.get_visible()]
    assert [ax.get_title(loc="left") for ax in seen] == ["low", "middle", "high", "top"]
    assert seen[0].get_subplotspec().get_gridspec().ncols == 3
    (narrow,) = one_effect(conditions=("a", "b")).plot(ncol=1)
    assert narrow.axes[0].get_subplotspec().get_gridspec().nrows == 2


@pytest.mark.parametrize("mean", [True, False])
def test_spaghetti_has_a_line_for_each_draw(mean):
    draws = np.random.default_rng(0).normal(size=(30, 5))
    (figure,) = one_effect(draws=draws).plot(mean=mean)
    (collection,) = figure.axes[0].collections
    np.testing.assert_allclose(np.array(collection.get_segments())[:, :, 1], draws)
    assert any(len(line.get_xdata()) == 5 for line in figure.axes[0].lines) is mean


@pytest.mark.parametrize("stype", ["contour", "raster"])
def test_surfaces_have_a_scale(stype):
    (figure,) = one_effect(second="numeric", surface=True).plot(stype=stype)
    assert (figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()) == ("x", "z")
    assert figure.axes[1].get_ylabel() == "y"


def test_drawing_into_axes_of_ones_own():
    figure = Figure()
    ax = figure.subplots()
    assert one_effect().plot(ax=ax)[0] is figure
    assert ax.lines
    with pytest.raises(bm.BayesmlmError, match="`ax` holds one picture"):
        one_effect(conditions=("a", "b")).plot(ax=ax)
    with pytest.raises(bm.BayesmlmError, match="stype='lines' is neither 'contour' nor 'raster'"):
        one_effect().plot(stype="lines")
