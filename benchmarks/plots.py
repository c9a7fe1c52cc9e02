"""Cost against rows, and against groups."""

from __future__ import annotations

from pathlib import Path

from .run import Record


def draw(part: str, records: list[Record], path: Path) -> None:
    """Two log-log panels of the cases that belong to a sweep, a line for each peer."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import numpy as np

    points = [r for r in records if r.case.sweep is not None and r.best is not None]
    groups = "groups, of 10 rows each" if part == "glmer" else "groups, of 20 000 rows"
    panels = [("rows", "rows, in 100 groups"), ("groups", groups)]
    panels = [panel for panel in panels if any(r.case.sweep == panel[0] for r in points)]
    size = (4.5 * len(panels), 3.6)
    figure, axes = plt.subplots(
        1, len(panels), figsize=size, sharey=True, layout="constrained", squeeze=False
    )
    axes = axes[0]
    for axis, (sweep, label) in zip(axes, panels, strict=True):
        for peer in dict.fromkeys(r.peer for r in points):
            mine = [r for r in points if r.peer == peer and r.case.sweep == sweep]
            sizes = [r.rows if sweep == "rows" else r.levels for r in mine]
            seconds = [r.median if part == "bayes" else r.best for r in mine]
            axis.loglog(sizes, seconds, marker="o", markersize=4, label=peer)
        axis.set_xlabel(label)
        axis.grid(True, which="major", alpha=0.3)
    lowest, highest = axes[0].get_ylim()
    # Whole powers of ten, so that a flat line looks flat.
    axes[0].set_ylim(10 ** np.floor(np.log10(lowest)), 10 ** np.ceil(np.log10(highest)))
    axes[0].set_ylabel("seconds of sampling" if part == "bayes" else "seconds of a fit")
    if points:
        axes[0].legend(frameon=False)
    figure.suptitle(points[0].case.formula if points else "", fontsize=10)
    figure.savefig(path, dpi=150)
    plt.close(figure)
