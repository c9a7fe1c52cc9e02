"""What the arguments of `brm` that steer the sampler promise: same draws however they are asked for."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayesmlm as bm

from .simulated import DATA, draw

# The runs here are as short as their question allows.
pytestmark = pytest.mark.filterwarnings("ignore::bayesmlm.ConvergenceWarning")

FORMULA = "y ~ x + (1 | g)"
SHORT = {"iter": 400, "warmup": 200, "control": {"adapt_delta": 0.9}}


@pytest.fixture(scope="module")
def short_fit():
    return draw(FORMULA, DATA, **SHORT)


def test_thin_keeps_every_third_draw(short_fit):
    thinned = draw(FORMULA, DATA, thin=3, **SHORT)
    assert thinned.ndraws == 2 * 67
    for name in ("b", "sigma", "r_g"):
        every = short_fit.idata.posterior[name].to_numpy()[:, ::3]
        np.testing.assert_array_equal(thinned.idata.posterior[name].to_numpy(), every)


def test_polars_and_arrow_data_give_the_same_draws(short_fit):
    import polars as pl

    for data in (pl.from_pandas(DATA), pl.from_pandas(DATA).to_arrow()):
        again = draw(FORMULA, data, **SHORT)
        pd.testing.assert_frame_equal(again.as_draws_df(), short_fit.as_draws_df())


START = {
    "Intercept": 3.5,
    "b": [0.25],
    "sd_g": [1.25],
    "sigma": 2.5,
    "z_g": np.linspace(-1, 1, 6)[:, None],
}
INITS = {
    "a dict": START,
    "a dict for each chain": [START, {**START, "sigma": 1.0}],
    "a function": lambda: START,
}


@pytest.mark.parametrize("form", INITS)
def test_chains_start_where_init_says(form):
    """On the parameters' natural scales; checked by taking the flat vector back through the program."""
    from bayesmlm.bayes import prepare, sampler_settings, specification
    from bayesmlm.inference.x64 import x64
    from bayesmlm.model.initial import initial_values

    spec = specification(prepare(FORMULA, DATA), None, marginalize=False)
    settings = initial_values(spec, sampler_settings(2, 20, None, 1, None, 1, None), INITS[form])
    with x64():
        for chain in range(2):
            values = spec.program.constrain(settings.init[chain], spec.program.data)
            expected = INITS[form][chain] if isinstance(INITS[form], list) else START
            for name in ("Intercept", "b", "sd_g", "sigma"):
                np.testing.assert_allclose(values[name], expected[name], rtol=1e-12)
            np.testing.assert_allclose(values["r_g"], 1.25 * START["z_g"], rtol=1e-12)


@pytest.mark.parametrize("init", [0, "0", "random", 0.5, {"sigma": 2.0}, [{}, START], lambda: {"b": [0.1]}])
def test_every_form_of_init_samples(init):
    fit = draw(FORMULA, DATA, init=init, **SHORT)
    # Wherever they start, 200 iterations of warm-up lead to where the data are.
    assert fit.posterior_epred().mean() == pytest.approx(DATA["y"].mean(), abs=0.3)


@pytest.mark.filterwarnings("ignore:Sampling ran out of its time budget")
def test_a_run_stopped_and_resumed_equals_one_that_was_not(tmp_path):
    arguments = {"iter": 6000, "warmup": 1000, "control": {"adapt_delta": 0.9}}
    whole = draw(FORMULA, DATA, **arguments)

    def part(budget, resume):
        """The fit, complete or not; None if the time was over within warm-up."""
        try:
            return draw(
                FORMULA, DATA, checkpoint=tmp_path / "run", resume=resume, time_budget=budget, **arguments
            )
        except bm.SamplingError as error:
            if "resume=True" not in str(error):
                raise
            return None

    # The first budget is over before anything is sampled; they grow, so that slow machines come to an end too.
    budgets = [0.01, 0.2]
    again = part(budgets[0], resume=False)
    assert again is None
    while again is None or not again.complete:
        again = part(budgets[-1], resume=True)
        budgets.append(2 * budgets[-1])
    pd.testing.assert_frame_equal(again.as_draws_df(), whole.as_draws_df())


def test_time_budget_returns_the_draws_there_are(short_fit):
    # Compiled by then: the budget is spent on sampling. So many iterations take minutes.
    with pytest.warns(bm.BayesmlmWarning, match="time budget"):
        fit = draw(FORMULA, DATA, iter=2_000_000, warmup=200, control={"adapt_delta": 0.9}, time_budget=3)
    assert not fit.complete
    assert 0 < fit.ndraws < 2 * 1_999_800
    assert fit.as_draws_df("b_x")["b_x"].notna().all()
