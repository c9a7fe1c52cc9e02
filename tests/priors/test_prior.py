"""Stating priors: rows, sets, and how brms 2.18 prints them."""

from __future__ import annotations

import pytest

from bayesmlm.errors import PriorError
from bayesmlm.priors.prior import Prior, PriorSet, empty_prior, prior, set_prior

SOME = [
    prior("normal(0, 1)", class_="b"),
    prior("normal(0, 5)", coef="x"),
    [prior("cauchy(0, 1)", "sd") + prior("exponential(1)", "sd", group="g", coef="Intercept")],
]

# print(c(prior(normal(0, 1), class = b), prior(normal(0, 5), coef = x), ...)) in brms 2.18, lines not wrapped
PRINTED = """\
          prior class      coef group resp dpar nlpar   lb   ub source
   normal(0, 1)     b                                 <NA> <NA>   user
   normal(0, 5)     b         x                       <NA> <NA>   user
   cauchy(0, 1)    sd                                 <NA> <NA>   user
 exponential(1)    sd Intercept     g                 <NA> <NA>   user"""


def test_sets_combine_and_print_as_in_brms() -> None:
    whole = empty_prior() + SOME
    assert str(whole) == PRINTED
    assert str(sum(list(whole), empty_prior())) == PRINTED
    assert str(sum([whole[:2], whole[2:]])) == PRINTED
    assert [row.prior for row in whole[1:3]] == ["normal(0, 5)", "cauchy(0, 1)"]
    assert "<td>exponential(1)</td>" in whole._repr_html_()


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (prior("normal(0, 1)", coef="x"), "b_x ~ normal(0, 1)"),
        (prior("normal(0, 1)", "sigma", lb=0), "<lower=0> sigma ~ normal(0, 1)"),
        (prior("normal(0, 1)", "b", lb=-1, ub=2.5), "<lower=-1,upper=2.5> b ~ normal(0, 1)"),
        (prior("normal(0, 1)", "sd", group="g"), "sd_g ~ normal(0, 1)"),
        (prior("normal(0, 1)", "sd", "x", "g", "sigma"), "sd_g__sigma_x ~ normal(0, 1)"),
        (prior("", class_="b"), "b ~ (flat)"),
    ],
)
def test_one_prior_prints_as_in_brms(row: PriorSet, text: str) -> None:
    assert str(row) == text


def test_frame_has_the_columns_of_brms() -> None:
    frame = set_prior("normal(0, 1)", coef=["x", "z"], dpar="mu").to_frame()
    assert " ".join(frame.columns) == "prior class coef group resp dpar nlpar lb ub source"
    assert frame.iloc[1].tolist() == ["normal(0, 1)", "b", "z", "", "", "", "", "", "", "user"]


def test_lists_give_a_row_an_element() -> None:
    rows = set_prior(["normal(0, 1)", "normal(0, 2)"], coef=("x", "z"))
    assert [(r.prior, r.coef) for r in rows] == [("normal(0, 1)", "x"), ("normal(0, 2)", "z")]
    with pytest.raises(PriorError, match="of one length"):
        set_prior(["normal(0, 1)"] * 3, coef=["x", "z"])


@pytest.mark.parametrize(
    ("lb", "text"), [(0, "0"), (0.5, "0.5"), ("1/4", "1/4"), (float("-inf"), ""), (None, None), ("", "")]
)
def test_bounds_become_text(lb: object, text: str | None) -> None:
    assert set_prior("normal(0, 1)", "b", lb=lb)[0].lb == text  # type: ignore[arg-type]


REFUSED = [
    ({"prior": "normal(0)"}, "takes 2 arguments"),
    ({"prior": 5}, "`prior` of set_prior"),
    ({"prior": "normal(0, 1)", "coef": 3}, "`coef` of set_prior"),
    ({"prior": "normal(0, 1)", "class_": ""}, "needs a class"),
    ({"prior": "normal(0, 1)", "coef": "x", "lb": 0}, "bounds belong to a whole class"),
    ({"prior": "normal(0, 1)", "lb": 2, "ub": 1}, "not below"),
    ({"prior": "normal(0, 1)", "lb": "max_Y"}, "are numbers"),
    ({"prior": "normal(0, 1)", "lb": "(1"}, "bound cannot be read"),
    ({"prior": "normal(0, 1)", "ub": float("nan")}, "must be a number"),
    ({"prior": "normal(0, 1)", "ub": True}, "must be a number"),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED)
def test_what_set_prior_refuses(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(PriorError, match=message):
        set_prior(**arguments)  # type: ignore[arg-type]


def test_text_is_not_a_prior() -> None:
    with pytest.raises(PriorError, match="made with set_prior"):
        empty_prior() + "normal(0, 1)"
    assert PriorSet((Prior(),)) + None == PriorSet((Prior(),))
