"""The runner: for each case all its peers, warm, in turns, so that a busy minute of the machine hits all alike."""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from .cases import Case, grouping_columns, load, used_columns
from .peers import PEERS, Conversation, Peer, PeerError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Settings:
    """``rounds``: turns of each peer; ``budget``: seconds of fits in one case after which a peer gets no further turns
    (what it did so far counts); ``seconds``: of fits in one turn, at least one; ``threads``: of BLAS."""

    rounds: int
    budget: float
    threads: int = 1
    seconds: float = 0.3


@dataclass
class Record:
    """What one peer did in one case. ``seconds``: fits that count; ``first``: from the start of a fresh process,
    nothing compiled before, to the end of its first fit; ``first_again``: the same in a second process;
    ``answers``: of every fit; ``status``: "" or why there is nothing."""

    case: Case
    peer: str
    rows: int
    levels: int
    data_mb: float
    seconds: list[float] = field(default_factory=list)
    first: float | None = None
    first_again: float | None = None
    answers: list[dict[str, Any]] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    blas: str = ""
    status: str = ""

    @property
    def counted(self) -> int:
        """The turns that did not compile."""
        return sum(answer.get("compiled_before", True) for answer in self.answers)

    @property
    def best(self) -> float | None:
        """The fastest fit."""
        return min(self.seconds, default=None)

    @property
    def median(self) -> float | None:
        """The fit in the middle."""
        return median(self.seconds) if self.seconds else None

    def middle(self, value: str) -> float | None:
        """The median of one number of the answers that count."""
        numbers = [
            a[value] for a in self.answers if a.get(value) is not None and a.get("compiled_before", True)
        ]
        return median(numbers) if numbers else None


def run(cases: list[Case], settings: Settings) -> list[Record]:
    """All cases, one after the other. A case whose data are not here is left out, with a line that says so."""
    from bayesmlm.errors import DataError

    records: list[Record] = []
    too_slow: set[tuple[str, str]] = set()
    for case in cases:
        try:
            data = used_columns(case.formula, load(case.source))
        except DataError as error:
            say(f"{case.name}: left out. {error}")
            continue
        # In a sweep, a peer that was given up on fewer rows is not asked for more.
        peers = [peer for peer in available(case) if (str(case.sweep), peer.name) not in too_slow]
        done = run_case(case, data, peers, settings)
        too_slow |= {(str(case.sweep), r.peer) for r in done if case.sweep and r.status}
        records += done
    return records


def available(case: Case) -> list[Peer]:
    """The peers of a case that are installed."""
    return [peer for peer in PEERS[case.part] if peer.name in case.peers and peer.missing() is None]


def missing_peers(part: str) -> dict[str, str]:
    """Peers that are not here, and why."""
    reasons = {peer.name: peer.missing() for peer in PEERS[part]}
    return {name: reason for name, reason in reasons.items() if reason is not None}


def run_case(case: Case, data: pd.DataFrame, peers: list[Peer], settings: Settings) -> list[Record]:
    """Warm processes of all peers, asked in turns."""
    say(f"{case.part}: {case.name} ({len(data)} rows)")
    records = [new_record(case, peer.name, data) for peer in peers]
    with tempfile.TemporaryDirectory() as folder:
        task = as_task(case, data, Path(folder))
        started = [start(peer, r, task, settings, folder) for peer, r in zip(peers, records, strict=True)]
        talks = [(r, talk) for r, talk in zip(records, started, strict=True) if talk is not None]
        # A point of a curve is drawn, not compared to three digits.
        rounds = min(2, settings.rounds) if case.sweep else settings.rounds
        for turn in range(2, rounds + 2):
            for record, talk in talks:
                enough = record.counted >= rounds or sum(record.seconds) >= settings.budget
                if not record.status and not enough:
                    take_turn(record, talk, turn, settings)
        for _, talk in talks:
            talk.close()
    for record in records:
        say(f"    {record.peer}: {record.status or f'{record.best:.4g} s'}")
    return records


def take_turn(record: Record, talk: Conversation, turn: int, settings: Settings) -> None:
    """A later turn; a peer that fails in it is out of the case, and the record says why."""
    try:
        ask(record, talk, turn, settings)
    except PeerError as failure:
        record.status = str(failure)


def as_task(case: Case, data: pd.DataFrame, folder: Path) -> dict[str, Any]:
    """What a peer has to know, with the data in a file."""
    import pandas as pd

    path = folder / "data.csv"
    data.to_csv(path, index=False)
    factors = [name for name in data if isinstance(data[name].dtype, pd.CategoricalDtype)]
    task = {"data": str(path), "factors": factors, "formula": case.formula, "family": case.family}
    if case.part != "bayes":
        return task
    response = data[case.formula.split("~")[0].strip()].to_numpy(dtype=float)
    return task | {"prior": brms_scales(response, case.family)}


def brms_scales(y: Any, family: str) -> dict[str, float]:
    """Location and scale of brms's default Student t priors: median and MAD of the response, rounded, at least 2.5."""
    import numpy as np

    on_link = np.log(np.maximum(y, 0.1)) if family == "poisson" else y
    middle = float(np.median(on_link))
    mad = 1.4826 * float(np.median(np.abs(on_link - middle)))
    return {"location": round(middle, 1), "scale": max(2.5, round(mad, 1))}


def new_record(case: Case, peer: str, data: pd.DataFrame) -> Record:
    """An empty record."""
    factors = [name for name in grouping_columns(case.formula) if name in data]
    levels = max(int(data[name].nunique()) for name in factors)
    return Record(case, peer, len(data), levels, float(data.memory_usage(index=False).sum()) / 2**20)


def start(
    peer: Peer, record: Record, task: dict[str, Any], settings: Settings, folder: str
) -> Conversation | None:
    """A fresh process and its first fit, or None if it fails. Where ours may compile, a second fresh process shows
    what the compiled programs on disk save, and stays."""
    try:
        talk, record.first = fresh(peer, record, task, settings, folder)
        if peer.language == "ours" and record.case.part == "bayes" and record.case.sweep is None:
            talk.close()
            talk, record.first_again = fresh(peer, record, task, settings, folder)
    except PeerError as failure:
        record.status = str(failure)
        return None
    return talk


def fresh(
    peer: Peer, record: Record, task: dict[str, Any], settings: Settings, folder: str
) -> tuple[Conversation, float]:
    """A process that has done its first fit, and seconds since it was started."""
    talk = Conversation(peer, task, settings.threads, str(Path(folder) / "cache"))
    about = talk.answer(record.case.limit)
    record.versions, record.blas = about["versions"], about["blas"]
    ask(record, talk, 1, settings, once=True)
    return talk, time.perf_counter() - talk.started


def ask(record: Record, talk: Conversation, turn: int, settings: Settings, once: bool = False) -> None:
    """One turn: fits for some time, or one fit; raises `PeerError`."""
    seconds = 0.0 if once else settings.seconds
    request = {"seed": turn, "seconds": seconds, "after": record.case.memory}
    answer = talk.ask(request, record.case.limit)
    record.answers.append(answer)
    if answer.get("compiled_before", True):
        record.seconds += answer["seconds"]


def say(text: str) -> None:
    """Progress."""
    print(text, file=sys.stderr, flush=True)
