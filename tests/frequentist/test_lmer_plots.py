"""Pictures of residuals and group effects show the numbers they should."""

from __future__ import annotations

import numpy as np
import pytest

from bayesmlm.errors import BayesmlmError
from bayesmlm.plots.mixed_residuals import normal_quantiles

from .summary_models import fitted


def _points(ax: object) -> np.ndarray:
    return np.asarray(ax.collections[-1].get_offsets())  # type: ignore[attr-defined]


def test_residuals_against_fitted_values() -> None:
    m = fitted("weighted")
    figure = m.plot_residuals()
    points = np.asarray(figure.axes[0].collections[0].get_offsets())
    np.testing.assert_allclose(points, np.column_stack([m.fitted(), m.residuals(scaled=True)]))
    assert figure._repr_png_()[:4] == b"\x89PNG"


def test_panels_of_a_factor() -> None:
    figure = fitted("slope").plot_residuals(by="Subject")
    shown = [ax for ax in figure.axes if ax.get_visible()]
    assert [ax.get_title(loc="left") for ax in shown[:2]] == ["308", "309"]
    assert len(shown) == 18
    with pytest.raises(BayesmlmError, match="`Day` is no grouping factor of the model; it has Subject"):
        fitted("slope").plot_residuals(by="Day")


def test_quantiles_are_rs() -> None:
    # R: qnorm(ppoints(5)), qnorm(ppoints(12))[1:2]
    np.testing.assert_allclose(normal_quantiles(5)[:2], [-1.179761117612, -0.497200570682], rtol=1e-8)
    np.testing.assert_allclose(normal_quantiles(12)[:2], [-1.73166439612, -1.15034938038], rtol=1e-8)
    points = _points(fitted("slope").qqmath().axes[0])
    assert (np.diff(points[:, 1]) >= 0).all()
    assert len(points) == 180


@pytest.mark.parametrize("draw", ["caterpillar", "qqmath"])
def test_effects_with_intervals(draw: str) -> None:
    m = fitted("slope")
    figure = getattr(m, draw)("Subject", level=0.9)
    effects = m.ranef(cond_var=True)
    ax = figure.axes[1]
    assert ax.get_title(loc="left") == "Days"
    values = np.sort(effects["Subject"]["Days"])
    np.testing.assert_allclose(_points(ax)[:, 0 if draw == "caterpillar" else 1], values)
    segment = ax.collections[0].get_segments()[0]  # type: ignore[attr-defined]
    ends = segment[:, 0 if draw == "caterpillar" else 1]
    sd = effects.sd("Subject")["Days"].to_numpy()[np.argmin(effects["Subject"]["Days"])]
    np.testing.assert_allclose(np.ptp(ends), 2 * 1.6448536269514722 * sd)


def test_order_of_levels_and_default_group() -> None:
    figure = fitted("nested").caterpillar(sort=False)
    labels = [t.get_text() for t in figure.axes[0].get_yticklabels()]
    assert labels == list(fitted("nested").design.terms[0].levels)[::-1]
    with pytest.raises(BayesmlmError, match="no grouping factor"):
        fitted("nested").caterpillar("cask")
    with pytest.raises(BayesmlmError, match="level must lie between 0 and 1"):
        fitted("nested").caterpillar(level=95)
