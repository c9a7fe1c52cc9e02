"""statsmodels' MixedLM; crossed factors are variance components of one group that holds all rows."""

import statsmodels.formula.api as smf
from serve import serve, split_formula, timed_fits


def arguments(bars, data):
    """Groups and random effects as `mixedlm` takes them."""
    if len(bars) > 1:
        parts = {group: f"0 + C({group})" for _, group in bars}
        return {"groups": [1] * len(data), "re_formula": None, "vc_formula": parts}
    ((effects, group),) = bars
    outer, _, inner = group.partition("/")
    if inner:
        return {"groups": outer, "re_formula": "1", "vc_formula": {inner: f"0 + C({inner})"}}
    return {"groups": group, "re_formula": effects}


def grouping_columns(bars):
    """The names after the bars."""
    return [name for _, group in bars for name in group.split("/")]


def prepare(task, data):
    # A point in a name would be Python's attribute access in a patsy formula. Text, not categories: variance
    # components are coded within each group, and categories would bring columns for the levels of all groups.
    _, fixed, bars = split_formula(task["formula"].replace(".", "_"))
    data = data.rename(columns=lambda name: name.replace(".", "_"))
    data = data.astype(dict.fromkeys(grouping_columns(bars), object))

    def fit():
        return smf.mixedlm(fixed, data, **arguments(bars, data)).fit(reml=True)

    def answer(request):
        times, fitted = timed_fits(fit, request)
        return times | {"criterion": -2 * float(fitted.llf), "beta": fitted.fe_params.tolist()}

    return answer


serve(["statsmodels"], prepare)
