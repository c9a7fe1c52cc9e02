"""The main job, end to end: ``python -m bayesmlm.demo`` fits the HSB model by NUTS and by REML, shows both side by
side, and writes its pictures to ``demo/``."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import bayesmlm as bm

FORMULA = "mathach ~ meanses + sector*ses_cmc + (ses_cmc | id)"


def main(folder: str = "demo") -> None:
    """Fit, print the summary, write the plots, say where."""
    started = time.perf_counter()
    hsb = bm.load_dataset("hsbsub")
    fit = bm.brm(FORMULA, data=hsb, seed=1)
    print(fit.summary())
    elapsed = time.perf_counter() - started
    t = fit.timings
    print(
        f"\n{fit.ndraws} draws in {elapsed:.1f} s: set-up {t.setup:.1f}, compile {t.compile:.1f}, "
        f"warm-up {t.warmup:.1f}, draws {t.draws:.1f}, after {t.after:.1f}"
    )
    print(f"\n{fit.loo()}")
    by_reml = bm.lmer(FORMULA, data=hsb)
    print(f"\n{by_reml.summary()}")
    table = bm.model_table({"REML": by_reml, "Bayes": fit})
    print(f"\n{table}")
    target = Path(folder)
    target.mkdir(exist_ok=True)
    sectors = {"sector": {"public": 0, "Catholic": 1}}
    effects = fit.conditional_effects("ses_cmc:sector", int_conditions=sectors)
    pictures = {
        "posterior": fit.plot()[0],
        "posterior_predictive_check": fit.pp_check(),
        "conditional_effects": effects.plot(points=True)[0],
        "schools": fit.forest("r_id"),
        "schools_reml": by_reml.caterpillar("id"),
    }
    for name, figure in pictures.items():
        figure.savefig(target / f"{name}.png", dpi=150, bbox_inches="tight")
    table.to_html(target / "models.html")
    fit.save(target / "fit.nc")
    print(f"\nPlots and the fit (fit.nc) are in {target.resolve()}")


if __name__ == "__main__":
    main(*sys.argv[1:])
