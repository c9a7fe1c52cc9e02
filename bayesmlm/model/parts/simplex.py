"""A simplex with a Dirichlet prior as a sample site."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ..site import Site

__all__ = ["simplex_site"]


def simplex_site(name: str, names: tuple[str, ...], concentration: tuple[float, ...]) -> Site:
    """The site called ``name`` with elements ``names``; ``concentration``: of its Dirichlet prior, one for each."""
    from ..site import Site

    shown = concentration[:1] if len(set(concentration)) == 1 else concentration
    size = len(names)
    return Site(
        name,
        "simplex",
        (size,),
        (size - 1,),
        names,
        constants={"concentration": np.array(concentration)},
        text=f"dirichlet({', '.join(f'{c:g}' for c in shown)})",
    )
