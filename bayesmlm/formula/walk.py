"""Walking a syntax tree without recursion, so that a formula of any length is safe."""

from __future__ import annotations

from collections.abc import Iterator

from .nodes import Argument, Binary, Call, Index, Name, Node, Paren, Unary

__all__ = ["CONSTANTS", "children", "variables", "walk"]

CONSTANTS = frozenset({"TRUE", "FALSE", "NULL", "NA", "NaN", "Inf"})
"""R's literals. ``T``, ``F`` and ``pi`` are not among them: in R they are variables that data may replace."""


def children(node: Node) -> tuple[Node, ...]:
    """The nodes directly below ``node``, left to right."""
    match node:
        case Binary():
            return (node.left, node.right)
        case Unary():
            return (node.operand,)
        case Paren():
            return (node.inner,)
        case Call():
            return node.arguments
        case Index():
            return (node.value, *node.arguments)
        case Argument():
            return () if node.value is None else (node.value,)
        case _:
            return ()


def walk(node: Node) -> Iterator[Node]:
    """``node`` and everything below it, in the order of the text."""
    waiting = [node]
    while waiting:
        current = waiting.pop()
        yield current
        waiting.extend(reversed(children(current)))


def variables(*nodes: Node) -> tuple[str, ...]:
    """The variable names in ``nodes``, each once, in the order of the text; literals and ``.`` left out."""
    names = (part.name for node in nodes for part in walk(node) if isinstance(part, Name))
    return tuple(dict.fromkeys(name for name in names if name not in CONSTANTS and name != "."))
