"""Words to the user that are neither errors nor warnings (R's `message()`)."""

from __future__ import annotations

import sys

__all__ = ["inform"]


def inform(text: str) -> None:
    """Print ``text`` on the error stream, so that output which is piped somewhere stays clean."""
    print(text, file=sys.stderr)
