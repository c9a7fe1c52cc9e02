"""pbkrtest's functions under their names; the work is done by methods of `MixedFit` and `GeneralisedFit`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from .fit import MixedFit
    from .generalised_fit import GeneralisedFit
    from .pb_modcomp import BootstrapTest

__all__ = ["KRmodcomp", "PBmodcomp"]


def KRmodcomp(large: MixedFit, small: Any, beta0: Any = 0.0) -> pd.DataFrame:  # noqa: N802
    """F test of a smaller model, a formula or a restriction matrix, by Kenward and Roger (`MixedFit.kr_modcomp`)."""
    return large.kr_modcomp(small, beta0)


def PBmodcomp(  # noqa: N802
    large: MixedFit | GeneralisedFit, small: Any, nsim: int = 1000, seed: int | None = None
) -> BootstrapTest:
    """Likelihood-ratio test of a smaller model by the parametric bootstrap (`MixedFit.pb_modcomp`,
    `GeneralisedFit.pb_modcomp`)."""
    return large.pb_modcomp(small, nsim=nsim, seed=seed)
