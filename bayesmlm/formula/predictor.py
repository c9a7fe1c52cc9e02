"""What one right-hand side means: population terms, group terms, special terms and offsets.

These are the types that the grammar produces and `terms/` consumes; `bayesmlm.formula.algebra` fills them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .nodes import Call, Node

__all__ = ["GroupTerm", "Grouping", "Predictor", "SpecialTerm", "Term"]


@dataclass(frozen=True)
class Term:
    """A population-level term: the product (``:``) of its factors, in R's order.

    ``factors`` are variables or calls, never operators: ``a:log(x)`` is ``(Name a, Call log)``.
    ``label`` is R's deparsed name of the term, ``a:log(x)``.
    """

    factors: tuple[Node, ...]
    label: str


@dataclass(frozen=True)
class SpecialTerm:
    """A term with a life of its own: ``s(x)``, ``mo(x)``, ``gp(x)``, ``ar(t)``, and interactions ``mo(x):z``.

    ``kind`` is the function's name ("s", "t2", "gp", "mo", "me", "mi", "cs", "mmc", "ar", ...). ``factors``
    holds every factor of the product, the special call included.
    """

    kind: str
    call: Call
    factors: tuple[Node, ...]
    label: str


@dataclass(frozen=True)
class Grouping:
    """What stands right of the bar: ``g``, ``a:b``, ``gr(g, by = z)``, ``mm(g1, g2)``.

    ``variables``: the names of the grouping columns (two or more for an interaction ``a:b`` or for ``mm``).
    ``label``: brms's name of the group (``g``, ``a:b``, ``mmg1g2``). ``options``: the arguments of ``gr()``
    or ``mm()`` that no field holds (``weights scale pw cov dist``).
    """

    variables: tuple[str, ...]
    label: str
    kind: str = "gr"  # "gr" or "mm"
    by: str | None = None
    options: tuple[tuple[str, Node], ...] = ()
    nested: bool = False  # written with a slash, `a/b`: lme4 calls the product `b:a`
    span: tuple[int, int] = field(default=(0, 0), compare=False)


@dataclass(frozen=True)
class GroupTerm:
    """``(effects | id | grouping)``; ``a/b`` has been expanded into two of these.

    ``correlated`` is False for ``||`` and ``gr(cor = FALSE)``; ``id`` is brms's ``|ID|`` (or ``gr(id = )``).
    ``structure``: lme4's tag around the term (``us``, ``diag``, ``cs``, ``ar1``) and its ``hom``, None where not said.
    """

    effects: Predictor
    grouping: Grouping
    correlated: bool = True
    id: str | None = None
    label: str = ""
    structure: tuple[str, bool | None] | None = None
    span: tuple[int, int] = field(default=(0, 0), compare=False)


@dataclass(frozen=True)
class Predictor:
    """One right-hand side, split by kind of term and in R's order of terms.

    ``intercept`` is True unless removed by ``0`` or ``-1``; ``explicit_intercept`` is True when the reserved
    word ``Intercept`` is a term (``0 + Intercept + x``: an ordinary class-b coefficient; the word is then not
    in ``terms``). ``source`` is the text that spans refer to.
    """

    intercept: bool
    terms: tuple[Term, ...] = ()
    group_terms: tuple[GroupTerm, ...] = ()
    special_terms: tuple[SpecialTerm, ...] = ()
    offsets: tuple[Node, ...] = ()
    explicit_intercept: bool = False
    source: str = ""
