"""bm.glmer; glmmTMB's families by its definition of Laplace's approximation."""

from serve import serve, timed_fits

import bayesmlm as bm


def prepare(task, data):
    arguments = {"family": task["family"]}
    if task["family"] == "nbinom2":
        arguments = {"family": "negbinomial", "laplace": "observed"}

    def answer(request):
        times, fit = timed_fits(lambda: bm.glmer(task["formula"], data=data, **arguments), request)
        return times | {"criterion": float(fit.criterion), "beta": fit.fixef().tolist()}

    return answer


serve(["bayesmlm", "numpy", "scipy"], prepare)
