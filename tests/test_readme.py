"""What the README, the pages and the notebook tell a user to type works as it stands there."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

import bayesmlm as bm

from .support import REPOSITORY

README = REPOSITORY / "README.md"
PAGES = [README, *sorted((REPOSITORY / "docs").glob("*.md"))]
NOTEBOOK = REPOSITORY / "notebooks" / "quickstart.ipynb"


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)


def shown_summary(page: Path) -> dict[str, list[float]]:
    """The rows of the summary that a page shows: name to numbers."""
    text = "\n".join(blocks(page, "text"))
    rows = re.findall(r"^(\S+)((?: +-?\d+(?:\.\d+)?)+)$", text, re.M)
    return {name: [float(x) for x in numbers.split()] for name, numbers in rows}


def test_the_example_of_the_readme_runs_and_gives_what_is_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {}
    for example in blocks(README, "python"):
        exec(compile(example, "README.md", "exec"), namespace)
    assert (tmp_path / "seed_effects.png").stat().st_size > 10_000
    assert bm.load("fit.nc").ndraws == 4000
    fit = namespace["fit"]
    assert isinstance(fit, bm.BayesFit)
    summary = fit.summary()
    shown = shown_summary(README)
    assert set(shown) == {*summary.fixed.index, *summary.random["id"].index}
    tables = [summary.fixed, summary.random["id"]]
    for name, (estimate, error, *_) in shown.items():
        row = next(table.loc[name] for table in tables if name in table.index)
        # Two runs of at least 1000 effective draws: five combined Monte Carlo errors, and two digits.
        assert estimate == pytest.approx(row["Estimate"], abs=5 * error * (2 / 1000) ** 0.5 + 0.01), name


def test_the_notebook_runs_and_holds_no_output(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    namespace: dict[str, object] = {}
    for cell in cells:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None
            show("".join(cell["source"]), namespace)
    assert (tmp_path / "fit.nc").exists()


def show(source: str, namespace: dict[str, object]) -> None:
    """Run a cell, and show the value of its last expression as a notebook would."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), namespace)
    if isinstance(last, ast.Expr):
        value = eval(compile(ast.Expression(last.value), "cell", "eval"), namespace)
        forms = ("_repr_html_", "_repr_png_", "_repr_latex_", "__repr__")
        assert any(getattr(value, form)() for form in forms if hasattr(value, form))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_blocks_can_be_read(page):
    for block in blocks(page, "python"):
        ast.parse(block)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_names_on_a_page_exist(page):
    text = page.read_text(encoding="utf-8")
    fields = {*dir(bm.BayesFit), *bm.BayesFit.__dataclass_fields__}
    # `fit.nc` and `fit.rds` are files.
    assert {n for n in re.findall(r"\bfit2?\.([A-Za-z]\w*)", text) if n not in ("nc", "rds")} <= fields
    assert set(re.findall(r"\bbm\.([A-Za-z]\w*)", text)) <= set(dir(bm))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_every_public_name_is_on_the_api_page():
    page = (REPOSITORY / "docs" / "api.md").read_text(encoding="utf-8")
    aliases = {"prior", "get_prior"}
    documented = set(re.findall(r"^::: bayesmlm\.(\w+)$", page, re.M)) - {"families"}
    assert set(bm.__all__) - aliases == documented
    assert all(f"`bm.{name}`" in page for name in aliases)
