"""The benchmark's tables, pictures and judgements, on records made by hand. Nothing is timed."""

from __future__ import annotations

import csv

import pytest

import bayesmlm as bm
from benchmarks import cases, plots, report
from benchmarks.answers import mistakes
from benchmarks.cases import Case, Simulated
from benchmarks.peers import Conversation, Peer, PeerError
from benchmarks.run import Record, brms_scales

from ..support import reference

RIGHT = {"criterion": 1743.63, "beta": [251.4, 10.5], "se": [6.8, 1.5], "peak_mb": 2.0}
DRAWS = {"ess": 1000.0, "clock": 0.5, "mean": {"b_x": 1.0}, "sd": {"b_x": 0.1}}


def record(peer: str, seconds: list[float], answer: dict, **about) -> Record:
    case = Case(about.pop("name", "sleep"), about.pop("part", "lmer"), "y ~ x + (x | g)", "d", (), **about)
    return Record(case, peer, 180, 18, 0.1, seconds=seconds, answers=[answer], first=2.0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"criterion": 1743.631}, None),
        ({"criterion": 1743.7}, "criterion off by 0.07"),
        ({"criterion": float("nan")}, "criterion off by nan"),
        ({"beta": [251.4, 10.7]}, "a coefficient off by 0.13 standard errors"),
        ({"beta": [251.4]}, "1 coefficients, not 2"),
    ],
    ids=["right", "criterion", "nan", "coefficient", "fewer"],
)
def test_a_fit_is_judged_against_lme4(change, words):
    found = mistakes([record("bayesmlm", [0.1], RIGHT | change), record("lme4", [0.2], RIGHT)])
    assert found == ({} if words is None else {"bayesmlm": words})


def test_posterior_means_are_judged_against_brms():
    off = DRAWS | {"mean": {"b_x": 1.05}}
    runs = [record("bayesmlm", [0.5], off, part="bayes"), record("brms", [5.0], DRAWS, part="bayes")]
    assert mistakes(runs) == {"bayesmlm": "mean of b_x off by 0.5 posterior sd"}


def test_tables_give_ratios_and_mark_wrong_answers(tmp_path):
    records = [
        record("bayesmlm", [0.006, 0.005], RIGHT, memory=True),
        record("lme4", [0.010, 0.012], RIGHT, memory=True),
        record("statsmodels", [0.05], RIGHT | {"criterion": 1800.0}),
    ]
    records[2].case = records[0].case
    text = report.write(
        "lmer", records, ["A machine."], {"bossanova": "no Python package bossanova"}, tmp_path
    )
    assert "| sleep | 180 | 18 | 0.005 | 0.01 (0.5) | 0.05 (0.1) † |" in text
    assert "† sleep, statsmodels: criterion off by 56.4" in text
    assert "bossanova was not measured: no Python package bossanova." in text
    with open(tmp_path / "lmer.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["peer"] for row in rows] == ["bayesmlm", "lme4", "statsmodels"]
    assert float(rows[0]["seconds_best"]) == 0.005
    assert (tmp_path / "lmer.md").read_text() == text


def test_effective_draws_per_second_are_compared(tmp_path):
    ours = record("bayesmlm", [0.5, 0.4, 0.6], DRAWS, part="bayes")
    brms = record("brms", [5.0], DRAWS, part="bayes")
    text = report.write("bayes", [ours, brms], [], {}, tmp_path)
    assert "| sleep | bayesmlm | 2 |  | 0.5 | 1000 | 2000 | 2000 |  |" in text
    assert "| sleep | brms | 2 |  | 5 | 1000 | 200 | 2000 | 10 |" in text


def test_curves_are_drawn_also_where_a_peer_gave_up(tmp_path):
    records = [record("bayesmlm", [0.1 * n], RIGHT, name=str(n), sweep="rows") for n in (1, 2)]
    stopped = record("lme4", [], RIGHT, name="2", sweep="groups")
    stopped.status = "> 60 s"
    plots.draw("lmer", [*records, stopped], tmp_path / "cost.png")
    assert (tmp_path / "cost.png").stat().st_size > 5000


def test_simulated_data_and_columns():
    data = cases.simulate(Simulated("slopes", 40, 4)).assign(unused=1.0)
    used = cases.used_columns("y ~ x + (x | g)", data)
    assert list(used) == ["y", "x", "g"]
    assert list(used["g"].cat.categories) == ["0", "1", "2", "3"]
    assert cases.grouping_columns("y ~ x + (1 | a/b) + (1 + x | c)") == ["a", "b", "c"]


def test_names_of_cases_are_unique():
    for chosen in (cases.lmer_cases(), cases.bayes_cases()):
        assert len({case.name for case in chosen}) == len(chosen)


def test_scales_of_default_priors_are_those_of_brms():
    tables = {t["data"]: t["prior_table"] for t in reversed(reference("brms_default_priors_A")["tables"])}
    of_intercept = tables["hsbsub.csv"]["prior"][tables["hsbsub.csv"]["class"].index("Intercept")]
    ours = brms_scales(bm.load_dataset("hsbsub")["mathach"].to_numpy(), "gaussian")
    assert of_intercept == f"student_t(3, {ours['location']}, {ours['scale']})"


def test_a_peer_that_fails_says_why(tmp_path, monkeypatch):
    monkeypatch.setattr(Peer, "command", lambda self: ["python3", "-c", "raise SystemExit('no such model')"])
    talk = Conversation(Peer("x", "python", "x", ("x.py",)), {}, 1, str(tmp_path))
    with pytest.raises(PeerError, match="failed: no such model"):
        talk.answer(20)
