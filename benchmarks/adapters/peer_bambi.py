"""bambi with brms's default priors (its own are scaled differently), except that it has no correlated effects: they
are independent here. ``python peer_bambi.py nutpie|pymc|numpyro``. nutpie compiles before the first request, as
Stan does; the other two compile inside each call, as their users do."""

import sys
import time

import bambi
from serve import posterior, serve, split_formula

SAMPLER = sys.argv[1]


def brms_priors(task, bars):
    """Flat for coefficients, Student t for the rest."""
    prior = task["prior"]
    sd = bambi.Prior("HalfStudentT", nu=3, sigma=prior["scale"])
    effects = [f"{name}|{group}" for left, group in bars for name in ["1", *left.split("+")] if name != ""]
    priors = {effect.replace(" ", ""): bambi.Prior("Normal", mu=0, sigma=sd) for effect in effects}
    priors["Intercept"] = bambi.Prior("StudentT", nu=3, mu=prior["location"], sigma=prior["scale"])
    priors["common"] = bambi.Prior("Flat")
    return priors | ({"sigma": sd} if task["family"] == "gaussian" else {})


def prepare(task, data):
    data = data.rename(columns=lambda name: name.replace(".", "_"))
    formula = task["formula"].replace(".", "_")
    bars = split_formula(formula)[2]
    model = bambi.Model(formula, data, family=task["family"], priors=brms_priors(task, bars))
    model.build()
    sample = nutpie_sampler(model) if SAMPLER == "nutpie" else bambi_sampler(model)

    def answer(request):
        started = time.perf_counter()
        draws = sample(request["seed"])
        seconds = time.perf_counter() - started
        return {"seconds": [seconds], "compiled_before": True, **posterior(named_as_brms(draws))}

    return answer


def nutpie_sampler(model):
    """A function from a seed to draws of bambi's model, which is compiled here, once. The group effects, which
    bambi's fit() computes and keeps, are left out; the intercept is moved from centred columns as fit() does."""
    import nutpie

    kept = [name for name in map(str, model.backend.model.free_RVs) if not name.endswith("_offset")]
    kept += [name for name in map(str, model.backend.model.deterministics) if name.endswith("_sigma")]
    compiled = nutpie.compile_pymc_model(model.backend.model, var_names=kept)
    component = model.backend.distributional_components["mu"]
    means = component.design_matrix_without_intercept.mean(axis=0)

    def sample(seed):
        drawn = nutpie.sample(
            compiled, draws=1000, tune=1000, chains=4, cores=2, seed=seed, progress_bar=False
        )
        draws = drawn.posterior.to_dataset()
        for term, mean in zip(component.component.common_terms, means, strict=True):
            draws["Intercept"] = draws["Intercept"] - mean * draws[term].squeeze(
                draws[term].dims[2:], drop=True
            )
        return draws

    return sample


def bambi_sampler(model):
    """A function from a seed to what bambi's own fit() gives."""
    options = {"cores": 2} if SAMPLER == "pymc" else {"nuts": {"chain_method": "vectorized"}}
    options |= {"draws": 1000, "tune": 1000, "chains": 4, "inference_method": SAMPLER, "progressbar": False}
    return lambda seed: model.fit(**options, random_seed=seed).posterior.to_dataset()


def named_as_brms(draws):
    """Arrays (chain, draw) under brms's names; bambi's group effects themselves are left out."""
    found = {}
    for name, values in draws.data_vars.items():
        if "|" in name:
            if name.endswith("_sigma"):
                effect, group = name.removesuffix("_sigma").split("|")
                effect = "Intercept" if effect == "1" else effect
                found[f"sd_{group}__{effect}"] = values.to_numpy()
        elif values.ndim == 2:
            found["sigma" if name == "sigma" else f"b_{name}"] = values.to_numpy()
        else:  # a factor with one column: its level is a coordinate
            level = str(values.coords[values.dims[2]].item())
            found[f"b_{name}{level}"] = values.to_numpy()[..., 0]
    return found


serve(["bambi", SAMPLER], prepare)
