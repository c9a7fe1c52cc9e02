"""bossanova."""

import bossanova
import polars
from serve import serve, timed_fits

# Its tables are rounded for display, and so are the numbers in them.
bossanova.set_display_digits(15)


def prepare(task, data):
    frame = polars.from_pandas(data.rename(columns=lambda name: name.replace(".", "_")))
    formula = task["formula"].replace(".", "_")

    def fit():
        model = bossanova.model(formula, frame)
        model.fit()
        return model

    def answer(request):
        times, model = timed_fits(fit, request)
        loglik = model.diagnostics["loglik"][0]
        return times | {"criterion": -2 * float(loglik), "beta": model.params["estimate"].to_list()}

    return answer


serve(["bossanova"], prepare)
