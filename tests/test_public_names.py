"""The names that scripts outside the project may rely on, and what ``import bayesmlm`` costs."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

import bayesmlm as bm
from bayesmlm import bayes
from bayesmlm.results.effects import ConditionalEffects

PACKAGE = Path(bm.__file__).parent
HEAVY = (
    "jax",
    "numpyro",
    "arviz",
    "arviz_stats",
    "matplotlib",
    "scipy",
    "pandas",
    "numpy",
    "xarray",
    "narwhals",
)

ARGUMENTS = {
    bm.brm: """formula data family prior sample_prior functions contrasts chains iter warmup thin cores seed init
        control algorithm output_samples save_pars file file_refit checkpoint resume time_budget chain_method
        progress""",
    bm.set_prior: "prior class_ coef group dpar resp nlpar lb ub",
    bm.prior: "prior class_ coef group dpar resp nlpar lb ub",
    bm.default_prior: "formula data family",
    bm.validate_prior: "prior formula data family",
    bm.standata: "formula data family",
    bm.brmsfamily: "name link",
    bm.bf: "formula formulas nl center",
    bm.load_dataset: "name",
    bm.load: "path",
    bm.loo_compare: "models",
    bm.lmer: "formula data",
    bm.glmer: "formula data family",
    bm.formula.parse_formula: "text",
    bm.BayesFit.posterior_summary: "variables prob robust",
    bm.BayesFit.fixef: "prob robust",
    bm.BayesFit.update: "formula newdata",
    bm.BayesFit.posterior_linpred: "newdata transform",
    ConditionalEffects.plot: "options",
}

FIT = """design nuts_params model_code model spec idata timings approximation integrated as_draws_df fixef ranef coef
    VarCorr summary posterior_summary conditional_effects plot
    pp_check loo waic bayes_R2 posterior_epred posterior_predict
    posterior_linpred save update prior_summary"""

BRMS_ARGUMENTS = sorted({"data2", "backend", "threads", "silent", "refresh", *bayes.NO_MEANING})


@pytest.mark.parametrize("function", ARGUMENTS, ids=lambda f: f.__qualname__)
def test_functions_take_the_promised_arguments(function):
    assert set(ARGUMENTS[function].split()) <= set(inspect.signature(function).parameters)


def test_a_fit_has_the_promised_members():
    assert set(FIT.split()) <= {*dir(bm.BayesFit), *bm.BayesFit.__dataclass_fields__}


def test_exported_names_exist_and_are_offered_for_completion():
    assert all(hasattr(bm, name) for name in bm.__all__)
    assert set(bm.__all__) <= set(dir(bm))
    assert bm.get_prior is bm.default_prior
    with pytest.raises(AttributeError, match="no attribute 'brmm'"):
        bm.brmm  # noqa: B018


@pytest.mark.parametrize("name", BRMS_ARGUMENTS)
def test_arguments_of_brms_without_a_meaning_here_are_accepted_with_a_word(name, capsys):
    # chains=0 stops the call right after the arguments have been looked at.
    with pytest.raises(bm.BayesmlmError, match="chains"):
        bm.brm("y ~ x", data={"y": [1.0], "x": [2.0]}, chains=0, **{name: "anything"})
    assert f"`{name}` has no meaning here and is ignored" in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted(bayes.REFUSED))
def test_arguments_of_brms_that_would_change_the_result_are_refused(name):
    with pytest.raises(bm.BayesmlmError, match=f"`{name}` is not available"):
        bm.brm("y ~ x", data={"y": [1.0], "x": [2.0]}, **{name: True})


@pytest.mark.filterwarnings("ignore::bayesmlm.ConvergenceWarning")
def test_everything_long_can_be_silent(capsys):
    data = {"y": [1.0, 2.0, 1.5, 0.5, 2.5, 1.0], "x": [0.0, 1.0, 0.5, -1.0, 2.0, 0.2]}
    fit = bm.brm("y ~ x", data=data, chains=1, iter=40, seed=1, progress=False)
    fit.update(newdata=data, progress=False)
    assert capsys.readouterr() == ("", "")


def in_new_process(code: str, **environment: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **environment}
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def test_importing_is_light():
    code = f"import bayesmlm, sys; dir(bayesmlm); print([m for m in {HEAVY} if m in sys.modules])"
    assert in_new_process(code) == "[]"


def test_arviz_may_be_imported_first():
    """It leaves a lazy numpyro behind, of which a careless import would load a second copy."""
    code = "import arviz, bayesmlm.model.program, numpyro; print(numpyro.distributions.distribution.Distribution)"
    assert in_new_process(code).startswith("<class")
    for path in PACKAGE.rglob("*.py"):
        assert "import numpyro.distributions" not in path.read_text(encoding="utf-8"), path


def test_reading_a_formula_needs_no_jax():
    code = "import bayesmlm as bm, sys; print(bm.formula.parse_formula('y~x+(1|g)'), 'jax' in sys.modules)"
    assert in_new_process(code) == "y ~ x + (1 | g) False"


def test_folders_can_be_named_by_environment_variables(tmp_path):
    (tmp_path / "mine.csv").write_text("y,x\n1,2\n")
    code = "import bayesmlm as bm; print(bm.load_dataset('mine').y[0])"
    assert in_new_process(code, BAYESMLM_DATA=str(tmp_path)) == "1"
    code = "from bayesmlm.inference.machine import cache_root; print(cache_root())"
    assert in_new_process(code, BAYESMLM_CACHE_DIR=str(tmp_path / "cache")) == str(tmp_path / "cache")


def test_the_package_reads_nothing_beside_the_repository():
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "shared/" not in text, path
