"""bm.lmer."""

from serve import serve, timed_fits

import bayesmlm as bm


def prepare(task, data):
    def answer(request):
        times, fit = timed_fits(lambda: bm.lmer(task["formula"], data=data), request)
        return times | {"criterion": float(fit.criterion), "beta": fit.fixef().tolist()}

    return answer


serve(["bayesmlm", "numpy", "scipy"], prepare)
