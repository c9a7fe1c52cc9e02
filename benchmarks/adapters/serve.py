"""How a Python peer talks: a line of JSON with the task on stdin, then one with each request; a line with
``RESULT`` and JSON answers each of them. Anything that goes wrong ends the process, with its reason on stderr.

Runs in the environment of a peer: nothing of bayesmlm is imported here.
"""

from __future__ import annotations

import gc
import json
import re
import sys
import time
import warnings
from importlib.metadata import version


def serve(packages, prepare):
    """``prepare(task, data)`` returns a function from a request to a dict; ``packages`` are named with versions."""
    import numpy
    import pandas

    warnings.simplefilter("ignore")
    task = json.loads(sys.stdin.readline())
    data = pandas.read_csv(task["data"], dtype=dict.fromkeys(task["factors"], "category"))
    answer = prepare(task, data)
    blas = numpy.show_config(mode="dicts")["Build Dependencies"]["blas"]
    versions = {name: version(name) for name in packages}
    reply({"versions": versions, "blas": f"{blas['name']} {blas['version']}"})
    for line in sys.stdin:
        reply(answer(json.loads(line)))


def reply(content):
    """One answer; lines of the peer itself on stdout have no RESULT before them."""
    print("RESULT " + json.dumps(content), flush=True)


def timed_fits(fit, request):
    """``fit()`` again and again for ``request["seconds"]``, at least once; what it took, and the last fit."""
    seconds, peak = [], PeakMemory()
    while not seconds or (sum(seconds) < request["seconds"] and len(seconds) < 50):
        gc.collect()
        started = time.perf_counter()
        fitted = fit()
        seconds.append(time.perf_counter() - started)
        if len(seconds) == 1:
            peak_mb = peak.megabytes()
    return {"seconds": seconds, "peak_mb": peak_mb}, fitted


class PeakMemory:
    """Resident memory beyond what the process held when this was made (Linux; None elsewhere)."""

    def __init__(self):
        gc.collect()
        try:
            with open("/proc/self/clear_refs", "w") as file:
                file.write("5")
        except OSError:
            self.before = None
        else:
            self.before = self._status("VmRSS")

    @staticmethod
    def _status(name):
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) / 1024 for line in file if line.startswith(name))

    def megabytes(self):
        return None if self.before is None else self._status("VmHWM") - self.before


def split_formula(formula):
    """``y ~ x + (x | g)`` to ``("y", "y ~ x", [("x", "g")])``."""
    bars = [
        tuple(part.strip() for part in found.split("|"))
        for found in re.findall(r"\(([^()]*\|[^()]*)\)", formula)
    ]
    fixed = re.sub(r"\s*\+\s*\([^()]*\|[^()]*\)", "", formula)
    return fixed.split("~")[0].strip(), fixed, bars


def bulk_ess(draws):
    """Bulk effective sample sizes by name, of arrays (chain, draw) by name."""
    import arviz as az
    import numpy as np

    return {name: float(az.ess(np.asarray(values), method="bulk")) for name, values in draws.items()}


def posterior(draws):
    """What is compared and reported of draws (chain, draw) by name."""
    return {
        "ess": min(bulk_ess(draws).values()),
        "mean": {name: float(values.mean()) for name, values in draws.items()},
        "sd": {name: float(values.std(ddof=1)) for name, values in draws.items()},
    }
