"""What can go wrong, as types a caller can catch.

Every error a user can cause says what is wrong, where (a caret under the formula, a column, a row, a level) and
what to write instead. Messages are plain text, so they read the same in a log, a terminal and a notebook.
"""

from __future__ import annotations

__all__ = [
    "BayesmlmError",
    "BayesmlmWarning",
    "ConvergenceWarning",
    "DataError",
    "FormulaError",
    "NewDataError",
    "PriorError",
    "SamplingError",
]


class BayesmlmError(Exception):
    """Base class of every error that bayesmlm raises on purpose."""


class FormulaError(BayesmlmError):
    """A formula that cannot be read or is not available, shown with a caret under the offending characters.

    Attributes: ``reason`` (the sentence without the picture), ``source`` (the formula text) and ``span``
    (start and end character of the offending part), the last two ``None`` when no place can be named.
    """

    def __init__(self, reason: str, source: str | None = None, span: tuple[int, int] | None = None) -> None:
        self.reason = reason
        self.source = source
        self.span = span
        super().__init__(reason if source is None or span is None else f"{reason}\n{underline(source, span)}")


class DataError(BayesmlmError):
    """Data that do not fit the model: a missing column, a wrong type, a value outside the support."""


class NewDataError(DataError):
    """New data that the fitted model cannot be applied to: an unseen level, a missing column."""


class PriorError(BayesmlmError):
    """A prior that cannot be read, matches no parameter, or is improper where a proper one is needed."""


class SamplingError(BayesmlmError):
    """Sampling could not start or go on: no finite log density, a checkpoint of another program."""


class BayesmlmWarning(UserWarning):
    """Base class of the warnings that bayesmlm gives."""


class ConvergenceWarning(BayesmlmWarning):
    """The draws may not represent the posterior: divergences, tree depth, Rhat, effective sample size."""


def underline(source: str, span: tuple[int, int]) -> str:
    """``source`` (the one line that holds the span's start), and below it carets under the span."""
    start, end = span
    line_start = source.rfind("\n", 0, start) + 1
    line_end = source.find("\n", start)
    line_end = len(source) if line_end < 0 else line_end
    width = max(1, min(end, line_end) - start)
    return f"    {source[line_start:line_end]}\n    {' ' * (start - line_start)}{'^' * width}"
