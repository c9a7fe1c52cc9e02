"""bm.brm. The first call compiles (or loads what an earlier process compiled), the later ones do not."""

import numpy as np
from serve import PeakMemory, serve

import bayesmlm as bm
from bayesmlm.inference.compile_cache import compilations


def prepare(task, data):
    def answer(request):
        import time

        peak, compiled, started = PeakMemory(), compilations(), time.perf_counter()
        fit = bm.brm(task["formula"], data, task["family"], seed=request["seed"], cores=2, progress=False)
        seconds = time.perf_counter() - started
        fresh = compilations() == compiled
        times = {"seconds": [seconds], "compiled_before": fresh, "peak_mb": peak.megabytes()}
        table = fit.posterior_summary()
        table = table[[name.startswith(("b_", "sd_", "cor_", "sigma")) for name in table.index]]
        print(fit.summary())
        about = {"clock": fit.timings.warmup + fit.timings.draws, "ess": float(table["Bulk_ESS"].min())}
        about |= {"mean": table["Estimate"].to_dict(), "sd": table["Est.Error"].to_dict()}
        return times | about | (after(fit, data, peak) if request.get("after") else {})

    return answer


def after(fit, data, peak):
    """Seconds for what a user asks of a large fit next, and the peak of everything."""
    import time

    started, seconds = time.perf_counter(), {}

    def lap(name):
        nonlocal started
        seconds[name] = time.perf_counter() - started
        started = time.perf_counter()

    fit.summary()
    lap("summary")
    fit.ranef()
    lap("ranef")
    total = np.zeros(len(data))
    for first in range(0, len(data), 100_000):
        rows = data.iloc[first : first + 100_000]
        total[first : first + len(rows)] = fit.posterior_epred(rows, ndraws=100).mean(axis=0)
    lap("epred in chunks, 100 draws")
    return {"after": seconds, "peak_mb": peak.megabytes()}


serve(["bayesmlm", "jax", "numpyro"], prepare)
