"""Time from call to summary, and effective draws per second, against brms in the same run.

    python benchmarks/bayes.py [--repeats 3] [--peers brms]

Each measurement is a process of its own, so that imports and compilation are what a user waits for.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

HERE = Path(__file__).parent

MODELS = {
    "seed": ("hsbsub", "mathach ~ meanses + sector*ses_cmc + (ses_cmc | id)", "gaussian"),
    "epilepsy": ("epilepsy", "count ~ zAge + zBase * Trt + (1 | patient) + (1 | obs)", "poisson"),
}

OURS = """
import time; start = time.perf_counter()
import json, sys
import bayesmlm as bm
name, formula, family = sys.argv[1:]
data = bm.load_dataset(name)
fit = bm.brm(formula, data, family, seed=1, progress=False)
print(fit.summary())
first = time.perf_counter() - start
import numpy as np
response = formula.split()[0]
other = data.assign(**{response: data[response].sample(frac=1, random_state=1).to_numpy()})
from bayesmlm.inference.compile_cache import compilations
before, start = compilations(), time.perf_counter()
bm.brm(formula, other, family, seed=2, progress=False)
again = time.perf_counter() - start
table = fit.posterior_summary()
table = table[[not n.startswith(("r_", "lp", "Intercept")) for n in table.index]]
t = fit.timings
print("RESULT" + json.dumps({
    "first": first, "again": again, "compiled_again": compilations() - before,
    "setup": t.setup, "compile": t.compile, "sampling": t.warmup + t.draws, "after": t.after,
    "ess": float(table["Bulk_ESS"].min()), "means": table["Estimate"].to_dict()}))
"""

BRMS = """
arguments <- commandArgs(TRUE)
started <- Sys.time()
suppressMessages(library(brms))
data <- read.csv(arguments[1], stringsAsFactors = TRUE)
for (v in intersect(c("id", "patient", "obs", "Trt"), names(data))) data[[v]] <- factor(data[[v]])
family <- if (arguments[3] == "poisson") poisson() else gaussian()
empty <- brm(as.formula(arguments[2]), data, family, chains = 0, silent = 2, refresh = 0)
compiled <- as.numeric(Sys.time() - started, units = "secs")
sampled <- system.time(fit <- update(
  empty, chains = 4, cores = 2, seed = 1, refresh = 0, silent = 2, recompile = FALSE
))[["elapsed"]]
reported <- posterior::subset_draws(posterior::as_draws(fit), variable = "^(b_|sd_|cor_|sigma)", regex = TRUE)
draws <- posterior::summarise_draws(reported)
clock <- rstan::get_elapsed_time(fit$fit)
result <- list(first = compiled + sampled, sampling = sampled, clock = sum(clock) / 2,
    ess = min(draws$ess_bulk), means = as.list(setNames(as.numeric(draws$mean), draws$variable)))
cat("RESULT", jsonlite::toJSON(result, auto_unbox = TRUE, digits = 8), sep = "")
"""


def main() -> None:
    """Run everything, print the table and write results.csv and results.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--models", nargs="*", default=list(MODELS))
    parser.add_argument("--no-brms", action="store_true")
    options = parser.parse_args()
    rows = []
    for model in options.models:
        runs = [measure(model) for _ in range(options.repeats)]
        peer = None if options.no_brms or shutil.which("Rscript") is None else measure_brms(model)
        rows += table(model, runs, peer)
    write(rows)


def measure(model: str) -> dict[str, dict]:
    """One cold and one warm process, sharing a cache that was empty before."""
    with tempfile.TemporaryDirectory() as cache:
        return {kind: run([sys.executable, "-c", OURS, *MODELS[model]], cache) for kind in ("cold", "warm")}


def measure_brms(model: str) -> dict | None:
    """The same model in brms, or None when brms is not installed."""
    import bayesmlm as bm

    name, formula, family = MODELS[model]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.csv"
        bm.load_dataset(name).to_csv(path, index=False)
        try:
            return run(["Rscript", "-e", BRMS, str(path), formula, family], folder)
        except subprocess.CalledProcessError as error:
            print(f"brms was not measured: {error.stderr[-500:]}", file=sys.stderr)
            return None


def run(command: list[str], cache: str) -> dict:
    """The JSON that ``command`` prints after RESULT."""
    environment = {**os.environ, "BAYESMLM_CACHE_DIR": cache}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return json.loads(done.stdout.split("RESULT")[-1])


def table(model: str, runs: list[dict[str, dict]], peer: dict | None) -> list[dict]:
    """Rows of the report, medians over the repeats; ratios are bayesmlm / brms for times, and for ess/s."""
    warm = [r["warm"] for r in runs]
    ours = {
        "cold (s)": median(r["cold"]["first"] for r in runs),
        "warm (s)": median(r["first"] for r in warm),
        "again (s)": median(r["again"] for r in warm),
        "ess/s": median(r["ess"] / r["sampling"] for r in warm),
    }
    theirs: dict[str, float] = {}
    if peer is not None:
        rate = peer["ess"] / peer["sampling"]
        theirs = {
            "cold (s)": peer["first"],
            "warm (s)": peer["first"],
            "again (s)": peer["sampling"],
            "ess/s": rate,
        }
        check_means(warm[0]["means"], peer["means"])
    return [
        {
            "model": model,
            "what": what,
            "bayesmlm": value,
            "brms": theirs.get(what),
            "ratio": ratio(value, theirs.get(what)),
        }
        for what, value in ours.items()
    ]


def ratio(ours: float, theirs: float | None) -> float | None:
    """bayesmlm / brms."""
    return None if theirs is None else ours / theirs


def check_means(ours: dict[str, float], theirs: dict[str, float]) -> None:
    """Refuse to report a speed for a wrong answer (crude: 10 % of the size, or 0.2)."""
    for name, value in theirs.items():
        if name in ours and abs(ours[name] - value) > max(0.2, 0.1 * abs(value)):
            raise SystemExit(f"posterior means of {name} differ: {ours[name]:.4g} and {value:.4g} in brms")


def write(rows: list[dict]) -> None:
    """results.csv and results.md beside this file, and the table on the screen."""
    with open(HERE / "results.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    lines = [f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}", ""]
    lines += ["| model | what | bayesmlm | brms | ratio |", "|---|---|---|---|---|"]
    show = lambda v: "" if v is None else f"{v:.3g}"  # noqa: E731
    lines += [
        f"| {r['model']} | {r['what']} | {show(r['bayesmlm'])} | {show(r['brms'])} | {show(r['ratio'])} |"
        for r in rows
    ]
    (HERE / "results.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
