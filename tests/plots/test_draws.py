"""Traces, ranks, pairs and intervals of draws: what is in the pictures."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from scipy.stats import gaussian_kde

import bayesmlm as bm
from bayesmlm.plots.forest import plot_caterpillar, plot_forest
from bayesmlm.plots.pairs import plot_pairs
from bayesmlm.plots.style import density
from bayesmlm.plots.trace import plot_rank, plot_trace

pytestmark = pytest.mark.filterwarnings("error")

SUMMARY = ["b_Intercept", "b_x", "b_z", "sd_g__Intercept", "sd_g__x", "cor_g__Intercept__x", "sigma"]


def titles(figure):
    return [t for ax in figure.axes if (t := ax.get_title(loc="left"))]


def test_density_is_a_gaussian_kernel_estimate_with_silvermans_bandwidth():
    x = np.random.default_rng(0).gamma(3, size=2000)
    grid, height = density(x, bounded=False)
    iqr = np.subtract(*np.quantile(x, [0.75, 0.25]))
    bandwidth = 0.9 * min(x.std(ddof=1), iqr / 1.34) * len(x) ** -0.2
    exact = gaussian_kde(x, bandwidth / x.std(ddof=1))(grid)
    # Values are binned: an error of the order of (bin width / bandwidth)^2.
    np.testing.assert_allclose(height, exact, atol=2e-3 * exact.max())


def test_a_bounded_density_keeps_its_mass_and_does_not_sink_at_the_bound():
    grid, height = density(np.random.default_rng(1).exponential(size=50_000))
    assert height.sum() * (grid[1] - grid[0]) == pytest.approx(1, abs=1e-6)
    # The density of an exponential at 0 is 1; smoothing lowers it by about half the bandwidth.
    assert height[0] == pytest.approx(1, abs=0.1)


def test_a_constant_has_a_density_too():
    grid, height = density(np.full(10, 3.0))
    assert grid[np.argmax(height)] == pytest.approx(3, abs=1e-3)


def test_trace_shows_the_parameters_of_the_summary_page_by_page(tree):
    pages = plot_trace(tree)
    assert [titles(page) for page in pages] == [SUMMARY[:5], SUMMARY[5:]]
    trace = pages[0].axes[1]
    assert [len(line.get_ydata()) for line in trace.lines[:4]] == [250] * 4
    draws = tree["posterior"].dataset["b_Intercept"].to_numpy()
    np.testing.assert_array_equal(trace.lines[2].get_ydata(), draws[2])
    np.testing.assert_array_equal(trace.lines[4].get_xdata(), [21, 101, 201])
    assert [t.get_text() for t in trace.get_legend().get_texts()] == ["1", "2", "3", "4"]
    assert pages[-1].axes[-1].get_xlabel() == "Iteration after warm-up"


@pytest.mark.parametrize("combo", [("hist", "rank_overlay"), ("dens_overlay", "trace")])
def test_trace_in_other_combinations(tree, combo):
    (page,) = plot_trace(tree, "sd_", regex=True, combo=combo)
    assert titles(page) == ["sd_g__Intercept", "sd_g__x"]


def test_ranks_count_every_draw_once(tree):
    (page,) = plot_rank(tree, "sigma", bins=10)
    (ax,) = [ax for ax in page.axes if ax.get_visible()]
    counts = np.array([patch.get_data().values for patch in ax.patches if hasattr(patch, "get_data")])
    assert counts.sum(axis=1).tolist() == [250] * 4
    assert counts.sum(axis=0).tolist() == [100] * 10


def test_pairs_mark_divergences_and_tell_correlations(tree):
    figure = plot_pairs(tree, ["b_x", "sigma"])
    draws = [tree["posterior"].dataset[n].to_numpy() for n in ("b", "sigma")]
    below = figure.axes[2]
    marked = below.collections[1].get_offsets()
    diverging = tree["sample_stats"].dataset["diverging"].to_numpy()
    np.testing.assert_allclose(sorted(marked[:, 1]), sorted(draws[1][diverging]))
    r = np.corrcoef(draws[0][..., 0].ravel(), draws[1].ravel())[0, 1]
    assert figure.axes[1].texts[0].get_text() == f"{round(r, 2) + 0.0:.2f}"
    assert figure.axes[1].get_legend().get_texts()[0].get_text() == "3 divergent"


def test_forest_draws_medians_and_quantiles(tree):
    figure = plot_forest(tree, prob=0.6, prob_outer=0.9)
    ax = figure.axes[0]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["b_x", "b_z"]
    draws = tree["posterior"].dataset["b"].to_numpy().reshape(-1, 2)
    np.testing.assert_allclose(ax.lines[0].get_xdata(), np.median(draws, axis=0))
    for collection, probs in zip(ax.collections, ([0.05, 0.95], [0.2, 0.8]), strict=True):
        ends = np.array([segment[:, 0] for segment in collection.get_segments()])
        np.testing.assert_allclose(ends, np.quantile(draws, probs, axis=0).T)


def test_group_effects_are_sorted_a_panel_for_each_coefficient(tree):
    figure = plot_forest(tree, "r_g")
    assert titles(figure) == ["r_g: Intercept", "r_g: x"]
    for ax in figure.axes:
        assert (np.diff(ax.lines[0].get_xdata()) <= 0).all()
        assert len(ax.get_yticklabels()) == 30
    assert titles(plot_caterpillar(tree, "g")) == titles(figure)
    kept = plot_forest(tree, "r_g", order="name").axes[0].get_yticklabels()
    assert [t.get_text() for t in kept][:2] == ["level0", "level1"]


def test_two_models_side_by_side(tree):
    figure = plot_forest(tree, ["b", "sigma"], models=[tree], model_names=["full", "again"], order="value")
    ax = figure.axes[0]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["sigma", "b_x", "b_z"]
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["full", "again"]


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (lambda t: plot_trace(t, "b_y"), "no draws are named `b_y`"),
        (lambda t: plot_trace(t, nvariables=0), "nvariables=0 must be at least 1"),
        (lambda t: plot_trace(t, combo=("dens", "path")), "`path`, which is none of"),
        (lambda t: plot_pairs(t, "sigma"), "pairs are shown of 2 to 15 parameters, not 1"),
        (lambda t: plot_forest(t, prob=2), "prob=2 must lie between 0 and 1"),
        (lambda t: plot_forest(t, order="size"), 'order must be "value" or "name"'),
        (lambda t: plot_forest(t, "b", models=[t], model_names=["a"]), "1 names for 2 models"),
        (lambda t: plot_caterpillar(t, "h"), "`h` has no group effects among the draws; these do: g"),
    ],
)
def test_what_cannot_be_drawn_is_refused(tree, picture, message):
    with pytest.raises(bm.BayesmlmError, match=message):
        picture(tree)


def test_pictures_show_themselves_and_leave_pyplot_alone(tree):
    before = set(sys.modules)
    pages = plot_trace(tree, "sigma")
    assert "matplotlib.pyplot" not in set(sys.modules) - before
    assert pages[0]._repr_png_().startswith(b"\x89PNG")
    assert 'alt="sigma"' in pages._repr_html_()
