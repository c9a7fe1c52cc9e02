"""Plain numpyro: the model written by hand as its tutorials do, `MCMC.run` with vectorised chains."""

import time
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from formulaic import model_matrix
from numpyro.infer import MCMC, NUTS
from serve import posterior, serve, split_formula

numpyro.enable_x64()


def model(X, groups, y, prior, family):
    """Brms's model: flat coefficients of centred columns, non-centred effects, LKJ correlations."""
    count = X.shape[1]
    mean = X.mean(axis=0)
    beta = numpyro.sample("b", dist.ImproperUniform(dist.constraints.real_vector, (), (count,)))
    intercept = numpyro.sample("Intercept", dist.StudentT(3, prior["location"], prior["scale"]))
    eta = intercept + (X - mean) @ beta
    for name, (codes, Z, levels) in groups.items():
        eta = eta + (effects(name, Z.shape[1], levels, prior["scale"])[codes] * Z).sum(axis=1)
    numpyro.deterministic("b_Intercept", intercept - mean @ beta)
    if family == "poisson":
        numpyro.sample("y", dist.Poisson(jnp.exp(eta)), obs=y)
    else:
        sigma = half_t("sigma", prior["scale"])
        numpyro.sample("y", dist.Normal(eta, sigma), obs=y)


def half_t(name, scale):
    """A half Student t."""
    return numpyro.sample(name, dist.FoldedDistribution(dist.StudentT(3, 0, scale)))


def effects(name, size, levels, scale):
    """(levels, size) effects of one grouping factor."""
    with numpyro.plate(f"{name}_columns", size):
        sd = half_t(f"sd_{name}", scale)
    z = numpyro.sample(f"z_{name}", dist.Normal(0, 1).expand([levels, size]).to_event(2))
    if size == 1:
        return z * sd
    L = numpyro.sample(f"L_{name}", dist.LKJCholesky(size, 1.0))
    numpyro.deterministic(f"cor_{name}", (L @ L.T)[0, 1])
    return z @ (sd[:, None] * L).T


def prepare(task, data):
    response, fixed, bars = split_formula(task["formula"])
    X = model_matrix(fixed.split("~")[1], data)
    coefficients = [str(name).replace("[T.", "").replace("]", "") for name in X.columns[1:]]
    groups, columns = {}, {}
    for left, group in bars:
        Z = model_matrix(left, data)
        columns[group] = ["Intercept", *map(str, Z.columns[1:])]
        codes = data[group].cat.codes.to_numpy().astype("int32")
        groups[group] = (codes, Z.to_numpy(dtype=float), data[group].cat.categories.size)
    y, columns_of_x = data[response].to_numpy(), X.to_numpy(dtype=float)[:, 1:]
    # Data bound, not passed to run(): numpyro keeps a compiled program only for arguments that it can hash.
    bound = partial(model, columns_of_x, groups, y, task["prior"], task["family"])
    mcmc = MCMC(
        NUTS(bound),
        num_warmup=1000,
        num_samples=1000,
        num_chains=4,
        chain_method="vectorized",
        progress_bar=False,
    )
    calls = 0

    def answer(request):
        nonlocal calls
        calls += 1
        started = time.perf_counter()
        mcmc.run(jax.random.PRNGKey(request["seed"]))
        samples = jax.device_get(mcmc.get_samples(group_by_chain=True))
        seconds = time.perf_counter() - started
        reported = named_as_brms(samples, coefficients, columns)
        return {"seconds": [seconds], "compiled_before": calls > 1, **posterior(reported)}

    return answer


def named_as_brms(samples, coefficients, columns):
    """Arrays (chain, draw) under brms's names."""
    named = {f"b_{name}": samples["b"][..., i] for i, name in enumerate(coefficients)}
    named["b_Intercept"] = samples["b_Intercept"]
    if "sigma" in samples:
        named["sigma"] = samples["sigma"]
    for group, names in columns.items():
        named |= {f"sd_{group}__{name}": samples[f"sd_{group}"][..., i] for i, name in enumerate(names)}
        if len(names) > 1:
            named["__".join(["cor_" + group, *names])] = samples[f"cor_{group}"]
    return {name: np.asarray(values) for name, values in named.items()}


serve(["numpyro", "jax"], prepare)
