"""Saving a fit to one netCDF file and reading it back.

The file holds the DataTree, the rows of data that were used, and as JSON whatever rebuilds the model: formula,
family, priors, settings. Nothing is pickled, so reading a file never runs code from it. Writing is atomic: the
old file stays until the new one is complete on disk.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .data.columns import Factor, Numeric
from .data.frame import Frame
from .errors import BayesmlmError
from .families.base import Family
from .inference.approximation import Approximation
from .inference.protocol import SamplerSettings, Timings

if TYPE_CHECKING:
    import xarray as xr

    from .model.spec import ModelSpec
    from .results.fit import BayesFit

__all__ = ["fingerprint", "load", "save", "with_suffix"]

FORMAT = 1
FRAME_GROUP = "bayesmlm"
DESCRIPTION = "description"


def save(fit: BayesFit, path: Any) -> None:
    """Write ``fit`` to ``path`` (``.nc`` is added when there is no suffix)."""
    import xarray as xr

    target = with_suffix(path)
    tree = xr.DataTree.from_dict(
        {
            **{name: group.to_dataset() for name, group in fit.idata.children.items()},
            FRAME_GROUP: _frame_group(fit),
        }
    )
    tree.attrs.update(fit.idata.attrs)
    target.parent.mkdir(parents=True, exist_ok=True)
    # Written beside the target, so that the last step is a rename within one file system.
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        tree.to_netcdf(temporary, engine="h5netcdf")
        with open(temporary, "rb+") as written:
            os.fsync(written.fileno())
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def load(
    path: Any, functions: Mapping[str, Callable[..., Any]] | None = None, families: Any = None
) -> BayesFit:
    """Read a fit that `BayesFit.save` wrote. ``functions``: those that its formula calls, as given to `brm`;
    ``families``: one or more families made by `custom_family` that its family consists of.

    Raises `BayesmlmError` when the file is not a saved fit, or of a later format.
    """
    import xarray as xr

    from .bayes import prepare, specification
    from .results.fit import BayesFit

    target = with_suffix(path)
    if not target.exists():
        raise BayesmlmError(f"there is no file {target}")
    try:
        with xr.open_datatree(target, engine="h5netcdf") as opened:
            tree = opened.load()
    except (OSError, ValueError, KeyError) as error:
        raise BayesmlmError(f"{target} is not a saved fit, or is damaged: {error}") from error
    if FRAME_GROUP not in tree.children:
        raise BayesmlmError(f"{target} is not a fit saved by bayesmlm")
    about = json.loads(str(tree[FRAME_GROUP].dataset[DESCRIPTION].item()))
    if about["format"] > FORMAT:
        raise BayesmlmError(
            f"{target} was written by a later version of bayesmlm ({about['version']}); upgrade to read it"
        )
    missing = [name for name in about["functions"] if name not in (functions or {})]
    if missing:
        raise BayesmlmError(
            f"the formula of {target} calls your function `{missing[0]}`; "
            f"pass it again: load(path, functions={{{missing[0]!r}: ...}})"
        )
    frame = _read_frame(tree[FRAME_GROUP].to_dataset())
    del tree[FRAME_GROUP]
    contrasts = _decode(about["contrasts"])
    family = Family.from_json(about["family"], families)
    design = prepare(about["formula"], frame, family, functions=functions, contrasts=contrasts)
    # Fits that were saved before effects were integrated out were sampled without.
    marginalize = about.get("marginalize", False)
    parameterisation = about.get("parameterisation", "auto")
    settings = SamplerSettings(**about["settings"])
    spec = specification(
        design,
        _read_priors(about["prior"]),
        about["sample_prior"],
        marginalize=marginalize,
        parameterisation=parameterisation,
        laplace=settings.algorithm == "laplace",
    )
    record = about.get("approximation")
    call = {
        "prior": _read_priors(about["prior"]),
        "sample_prior": about["sample_prior"],
        "contrasts": contrasts,
        "control": about["control"],
        "functions": functions,
        "marginalize": marginalize,
        "parameterisation": parameterisation,
    }
    return BayesFit(
        spec,
        tree,
        settings,
        Timings(**about["timings"]),
        call,
        about["data_name"],
        complete=about["complete"],
        approximation=None if record is None else Approximation(**record),
    )


def reusable(
    file: str | Path | None,
    refit: str,
    spec: Callable[[], ModelSpec],
    functions: Any,
    families: Any,
    algorithm: str,
) -> tuple[BayesFit | None, ModelSpec | None]:
    """The fit stored in ``file`` when ``file_refit`` lets it be used again, and the specification if it was made."""
    if refit not in ("never", "on_change", "always"):
        raise BayesmlmError(f'file_refit must be "never", "on_change" or "always", not {refit!r}')
    if file is None or refit == "always" or not with_suffix(file).exists():
        return None, None
    stored = load(file, functions, families)
    if refit == "never":
        return stored, None
    now = spec()
    same = stored.settings.algorithm == now.algorithm(algorithm) and fingerprint(stored.spec) == fingerprint(
        now
    )
    return (stored if same else None), now


def fingerprint(spec: ModelSpec) -> str:
    """A hash of all that determines the posterior: structure, names, data and priors."""
    import jax

    digest = hashlib.sha256(spec.structure.key.encode())
    digest.update(repr([spec.design.response.name, *(site.names for site in spec.structure.sites)]).encode())
    digest.update(repr([block.levels for block in spec.design.blocks]).encode())
    leaves, structure = jax.tree.flatten(spec.data)
    digest.update(str(structure).encode())
    for leaf in leaves:
        digest.update(np.ascontiguousarray(leaf).tobytes())
    return digest.hexdigest()


def with_suffix(path: Any) -> Path:
    """``path`` with ``.nc`` when it has no suffix."""
    target = Path(path)
    return target if target.suffix in (".nc", ".netcdf", ".h5") else target.with_name(target.name + ".nc")


def _description(fit: BayesFit) -> dict[str, Any]:
    from . import __version__

    settings = {
        **asdict(fit.settings),
        "init": None if isinstance(fit.settings.init, np.ndarray) else fit.settings.init,
    }
    return {
        "format": FORMAT,
        "version": __version__,
        "formula": fit.formula.to_text(),
        "family": fit.family.to_json(),
        "prior": _write_priors(fit.call["prior"]),
        "sample_prior": fit.call["sample_prior"],
        "contrasts": _encode(fit.call["contrasts"]),
        "control": dict(fit.call["control"] or {}),
        "functions": sorted(fit.call["functions"] or {}),
        "marginalize": fit.call["marginalize"],
        "parameterisation": fit.call["parameterisation"],
        "settings": settings,
        "timings": asdict(fit.timings),
        "data_name": fit.data_name,
        "complete": fit.complete,
        "approximation": None if fit.approximation is None else asdict(fit.approximation),
    }


def _encode(contrasts: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if not contrasts:
        return None
    return {k: v if isinstance(v, str) else np.asarray(v, dtype=float).tolist() for k, v in contrasts.items()}


def _decode(contrasts: dict[str, Any] | None) -> dict[str, Any] | None:
    if contrasts is None:
        return None
    return {k: v if isinstance(v, str) else np.asarray(v, dtype=float) for k, v in contrasts.items()}


def _write_priors(prior: Any) -> list[dict[str, Any]]:
    from .priors.prior import as_prior_set

    return [asdict(row) for row in as_prior_set(prior)]


def _read_priors(rows: list[dict[str, Any]]) -> Any:
    from .priors.prior import Prior, PriorSet

    return PriorSet(tuple(Prior(**row) for row in rows)) if rows else None


def _frame_group(fit: BayesFit) -> xr.Dataset:
    """The rows of data used, and the description, as variables: HDF5 attributes end at 64 kB."""
    import xarray as xr

    variables: dict[str, Any] = {DESCRIPTION: ((), json.dumps(_description(fit)))}
    frame = fit.design.frame
    for position, name in enumerate(frame.names):
        column, key = frame.columns[name], f"column{position}"
        if isinstance(column, Factor):
            about = {"kind": "factor", "ordered": int(column.ordered), "text": int(column.text)}
            variables[key] = (("row",), column.codes, {"name": name, **about})
            variables[f"{key}_levels"] = ((f"{key}_level",), np.array(column.levels, dtype=object))
        else:
            about = {"kind": "numeric", "integer": int(column.integer), "logical": int(column.logical)}
            dims = ("row", f"{key}_part")[: column.values.ndim]
            variables[key] = (dims, column.values, {"name": name, **about})
            if column.columns is not None:
                variables[f"{key}_columns"] = ((f"{key}_part",), np.array(column.columns, dtype=object))
    return xr.Dataset(variables)


def _read_frame(dataset: xr.Dataset) -> Frame:
    columns: dict[str, Any] = {}
    for key, variable in dataset.data_vars.items():
        about = variable.attrs
        if about.get("kind") == "factor":
            levels = tuple(str(level) for level in dataset[f"{key}_levels"].to_numpy())
            codes = variable.to_numpy().astype(np.int32)
            columns[about["name"]] = Factor(codes, levels, bool(about["ordered"]), text=bool(about["text"]))
        elif about.get("kind") == "numeric":
            values = variable.to_numpy().astype(np.float64)
            names = dataset.get(f"{key}_columns")
            parts = None if names is None else tuple(str(part) for part in names.to_numpy())
            columns[about["name"]] = Numeric(values, bool(about["integer"]), bool(about["logical"]), parts)
    return Frame.from_columns(columns)
