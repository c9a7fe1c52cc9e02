"""Posterior predictive checks: every type draws, and the numbers behind the pictures are right."""

from __future__ import annotations

import numpy as np
import pytest

import bayesmlm as bm
from bayesmlm.plots.ppc import TYPES, pp_check
from bayesmlm.plots.ppc_data import Check
from bayesmlm.plots.ppc_rows import pit_values, simultaneous_band, weighted_quantiles

pytestmark = pytest.mark.filterwarnings("error")

CONTINUOUS = [name for name, kind in TYPES.items() if not kind.counts]
COUNTS = [name for name, kind in TYPES.items() if not kind.loo]


def options(name, group, x):
    kind = TYPES[name]
    needs_group = kind.grouped or kind.by_group
    return ({"group": group} if needs_group else {}) | ({"x": x} if kind.needs_x else {})


def named(figure):
    """Every figure says what it shows: a label on an axis of each outer panel."""
    shown = [ax for ax in figure.axes if ax.get_visible()]
    return any(ax.get_xlabel() or ax.get_ylabel() for ax in shown)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_every_type_draws_a_continuous_response(fit, name):
    figure = pp_check(fit, name, **options(name, "Subject", "Days"))
    figure.canvas.draw()
    assert named(figure)


@pytest.mark.parametrize("name", COUNTS)
def test_every_type_draws_counts(counts, name):
    figure = pp_check(counts, name, **options(name, "Trt", "zBase"))
    figure.canvas.draw()
    assert named(figure)


@pytest.mark.parametrize(("name", "message"), [("hist", "Using 10"), ("stat", "Using all")])
def test_the_number_of_draws_is_brmss_and_is_told(counts, capsys, name, message):
    figure = pp_check(counts, name)
    assert message in capsys.readouterr().err
    if name == "hist":
        shown = [ax for ax in figure.axes if ax.get_visible()]
        assert [ax.get_title(loc="left") for ax in shown] == ["y", *(f"draw {i}" for i in range(1, 11))]
    pp_check(counts, name, ndraws=3)
    assert capsys.readouterr().err == ""


def test_density_overlay_has_a_line_for_y_and_each_draw(fit):
    ax = pp_check(fit, ndraws=7).axes[0]
    assert len(ax.lines) == 8
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["$y_{rep}$", "$y$"]


def test_bars_count_the_values(counts):
    ax = pp_check(counts, "bars").axes[0]
    y = counts.design.response.values
    # 103 different values at most: classes of 2.
    heights = [patch.get_height() for patch in ax.patches]
    assert heights[:3] == [np.isin(y, pair).sum() for pair in ([0, 1], [2, 3], [4, 5])]
    assert sum(heights) == len(y)


@pytest.mark.parametrize(("stat", "function"), [("sd", lambda v: np.std(v, ddof=1)), (np.ptp, np.ptp)])
def test_statistics_of_y_are_marked(counts, stat, function):
    ax = pp_check(counts, "stat", stat=stat).axes[0]
    assert ax.lines[0].get_xdata()[0] == pytest.approx(function(counts.design.response.values))


def test_groups_come_in_the_order_of_their_levels(counts):
    figure = pp_check(counts, "stat_grouped", group="Trt", stat="mean")
    for ax, level in zip(figure.axes, ["0", "1"], strict=True):
        own = counts.design.response.values[counts.data["Trt"].astype(str) == level]
        assert ax.get_title(loc="left") == level
        assert ax.lines[0].get_xdata()[0] == pytest.approx(own.mean())


def test_intervals_are_quantiles_of_the_draws(counts):
    ax = pp_check(counts, "intervals", prob_outer=0.8).axes[0]
    yrep = counts.posterior_predict()
    ends = np.array([segment[:, 1] for segment in ax.collections[0].get_segments()])
    np.testing.assert_allclose(ends, np.quantile(yrep, [0.1, 0.9], axis=0).T)


@pytest.mark.parametrize("style", ["standing", "hanging", "suspended"])
def test_rootograms_differ_by_where_the_bars_stand(counts, style):
    ax = pp_check(counts, "rootogram", style=style).axes[0]
    bar, line = ax.patches[0], ax.lines[0].get_ydata()[0]
    observed = np.sqrt(np.isin(counts.design.response.values, [0, 1]).sum())
    expected = np.sqrt(np.isin(counts.posterior_predict(), [0, 1]).sum() / 200)
    heights = {"standing": (0, observed), "hanging": (expected - observed, observed)}
    bottom, height = heights.get(style, (0, observed - expected))
    assert (bar.get_y(), bar.get_height()) == pytest.approx((bottom, height))
    assert line == pytest.approx(0 if style == "suspended" else expected)


def test_pit_values_of_a_correct_model_are_uniform_for_counts_too():
    rng = np.random.default_rng(0)
    check = Check(rng.poisson(2.0, 2000).astype(float), rng.poisson(2.0, (500, 2000)).astype(float))
    values = np.sort(pit_values(check))
    distance = np.abs(values - (np.arange(2000) + 0.5) / 2000).max()
    # Kolmogorov-Smirnov: above 1.63 / sqrt(n) in 1 % of samples.
    assert distance < 1.63 / np.sqrt(2000)


def test_weights_change_pit_values_and_quantiles():
    yrep = np.array([[1.0], [2.0], [3.0], [4.0]])
    weights = np.array([[0.1], [0.2], [0.3], [0.4]])
    check = Check(np.array([2.5]), yrep, weights=weights)
    assert pit_values(check) == pytest.approx([0.3])
    assert weighted_quantiles(check, (0.05, 0.25, 0.5, 0.95)).ravel().tolist() == [1, 2, 3, 4]


def test_the_simultaneous_band_holds_whole_curves():
    points = np.linspace(0, 1, 52)[1:-1]
    low, high = simultaneous_band(80, points)
    samples = np.sort(np.random.default_rng(42).uniform(size=(4000, 80)), axis=1)
    curves = np.stack([np.searchsorted(s, points, side="right") / 80 for s in samples])
    inside = ((curves >= low) & (curves <= high)).all(axis=1).mean()
    # 95 % up to simulation error; a discrete band may hold a little more.
    assert 0.94 < inside < 0.975


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"type": "density"}, "no kind of check; there are bars, bars_grouped, boxplot"),
        ({"type": "dens_overlay_grouped"}, "needs `group`"),
        ({"type": "hist", "group": "Trt"}, "takes no `group`; those that do are bars_grouped"),
        ({"type": "stat_grouped", "group": "treatment"}, "`treatment` is no variable of the model"),
        ({"type": "error_scatter_avg_vs_x"}, "needs `x`"),
        ({"type": "intervals", "x": "z"}, "`z` is no variable of the model"),
        ({"type": "stat", "stat": "mode"}, 'stat="mode" is not known; use mean, median'),
        ({"type": "stat_2d", "stat": "mean"}, "shows 2 statistics, not 1"),
        ({"type": "hist", "stat": "mean"}, "takes no `stat`"),
        ({"type": "rootogram", "style": "lying"}, "none of standing, hanging, suspended"),
        ({"type": "loo_pit", "ndraws": 5}, "needs all draws"),
        ({"type": "intervals", "prob": 2}, "prob=2 must lie between 0 and 1"),
    ],
)
def test_what_cannot_be_checked_is_refused(counts, arguments, message):
    with pytest.raises(bm.BayesmlmError, match=message):
        pp_check(counts, **arguments)


def test_bars_are_for_counts(fit):
    with pytest.raises(bm.BayesmlmError, match="for whole-number responses"):
        pp_check(fit, "bars")


def test_new_data_are_checked_with_their_own_response(fit):
    data = bm.load_dataset("sleepstudy").iloc[:30]
    ax = pp_check(fit, "scatter_avg", newdata=data).axes[0]
    np.testing.assert_allclose(ax.collections[0].get_offsets()[:, 1], data["Reaction"])
