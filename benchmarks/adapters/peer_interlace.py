"""interlace-lme."""

import interlace
from serve import serve, split_formula, timed_fits


def nested_apart(effects, group):
    """``(1 | a/b)`` as ``(1 | a)`` and ``(1 | b)``: the codes of b are unique in the data of the benchmark."""
    return [f"({effects} | {name})" for name in group.split("/")]


def prepare(task, data):
    data = data.rename(columns=lambda name: name.replace(".", "_"))
    _, fixed, bars = split_formula(task["formula"].replace(".", "_"))
    random = [term for effects, group in bars for term in nested_apart(with_intercept(effects), group)]

    def answer(request):
        times, fit = timed_fits(lambda: interlace.fit(fixed, data, random=random), request)
        return times | {"criterion": -2 * float(fit.llf), "beta": list(map(float, fit.fe_params))}

    return answer


def with_intercept(effects):
    """lme4 adds an intercept of its own, interlace does not."""
    return effects if effects == "1" else f"1 + {effects}"


serve(["interlace-lme"], prepare)
