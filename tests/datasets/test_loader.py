"""Example data: the values and level orders that R has, and errors that say where to look."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bayesmlm.datasets import dataset_names, load_dataset
from bayesmlm.datasets.loader import SHIPPED, read_dataset
from bayesmlm.errors import DataError
from tests.support import local_data, reference

SCHEMA = json.loads((SHIPPED / "schema.json").read_text(encoding="utf-8"))
SCHOOLS = [4931, 4325, 9104, 8150, 9198, 2990, 9158, 8193, 2030, 7101, 5761, 8800, 9508, 5838, 8188, 3999]

# name: rows, a numeric column, its mean (R, 15 digits), a factor, its first levels, whether it is ordered
R_FACTS = {
    "sleepstudy": (180, "Reaction", 298.507891666667, "Subject", ["308", "309", "310"], False),
    "cbpp": (56, "size", 15.0357142857143, "period", ["1", "2", "3", "4"], False),
    "cake": (270, "angle", 32.1222222222222, "temperature", ["175", "185", "195"], True),
    "VerbAgg": (7584, "Anger", 20.003164556962, "mode", ["want", "do"], False),
    "grouseticks": (403, "TICKS", 6.3697270471464, "INDEX", ["1", "2", "3"], False),
    "epilepsy": (236, "count", 8.25423728813559, "patient", ["1", "2", "3"], False),
    "kidney": (76, "time", 101.631578947368, "disease", ["other", "GN", "AN", "PKD"], False),
    "Orthodont": (108, "distance", 24.0231481481481, "Subject", ["M16", "M05", "M02"], True),
    "Machines": (54, "score", 59.65, "Worker", ["6", "2", "4", "1", "3", "5"], True),
    "MathAchieve": (7185, "MathAch", 12.7478526096033, "School", ["8367", "8854", "4458"], True),
}


def shipped(name: str) -> pd.DataFrame:
    """The packaged file, whatever the folder BAYESMLM_DATA holds under the same name."""
    data = read_dataset(SHIPPED, name)
    assert data is not None
    return data


@pytest.mark.parametrize("name", R_FACTS)
def test_values_and_level_order_are_those_of_r(name: str) -> None:
    rows, number, mean, factor, levels, ordered = R_FACTS[name]
    data = shipped(name)
    assert len(data) == rows
    assert data[number].mean() == pytest.approx(mean, rel=1e-14)
    assert data[factor].cat.categories[: len(levels)].tolist() == levels
    assert data[factor].cat.ordered is ordered


@pytest.mark.parametrize("name", SCHEMA)
def test_every_shipped_file_has_the_types_of_its_schema(name: str) -> None:
    data = shipped(name)
    kinds = {"numeric": "f", "integer": "i", "character": "O", "factor": "O", "ordered": "O"}
    for column, kind in SCHEMA[name]["columns"].items():
        assert data[column].dtype.kind == kinds[kind["type"]]
        assert isinstance(data[column].dtype, pd.CategoricalDtype) == ("levels" in kind)
    assert not data.isna().to_numpy().any()


def test_names_list_what_ships() -> None:
    assert set(dataset_names()) >= set(SCHEMA)
    assert {p.name.partition(".csv")[0] for p in SHIPPED.iterdir() if ".csv" in p.name} == set(SCHEMA)


def test_numbers_are_the_nearest_doubles() -> None:
    text = (SHIPPED / "hsbsub.csv").read_text(encoding="utf-8").splitlines()[1:]
    assert [float(line.split(",")[-1]) for line in text] == shipped("hsbsub")["ses_cmc"].tolist()


def test_hsbsub_is_made_from_nlme() -> None:
    pupils, schools = shipped("MathAchieve"), shipped("MathAchSchool").set_index("School")
    pupils = pupils[pupils["School"].astype(int).isin(SCHOOLS)].reset_index(drop=True)
    of_pupil = schools.loc[pupils["School"].astype(str).tolist()].reset_index(drop=True)
    made = pd.DataFrame(
        {
            "id": pupils["School"].astype(str),
            "minority": pupils["Minority"] == "Yes",
            "female": pupils["Sex"] == "Female",
            "ses": pupils["SES"],
            "mathach": pupils["MathAch"],
            "size": of_pupil["Size"],
            "sector": of_pupil["Sector"] == "Catholic",
            "pracad": of_pupil["PRACAD"],
            "disclim": of_pupil["DISCLIM"],
            "himinty": of_pupil["HIMINTY"] == "1",
            "meanses": pupils["MEANSES"],
        }
    )
    hsbsub = shipped("hsbsub")
    pd.testing.assert_frame_equal(hsbsub[list(made)], made, check_dtype=False, check_exact=True)
    means = made.groupby("id")["ses"].agg(lambda ses: math.fsum(ses) / len(ses))
    assert hsbsub["ses_cm"].tolist() == means.loc[made["id"]].tolist()
    assert hsbsub["ses_cmc"].tolist() == (hsbsub["ses"] - hsbsub["ses_cm"]).tolist()


def test_hsbsub_gives_brms_the_same_model() -> None:
    values = reference("brms_standata_seed")["values"]
    data = shipped("hsbsub")
    x = np.column_stack(
        [np.ones(len(data)), data[["meanses", "sector", "ses_cmc"]], data["sector"] * data["ses_cmc"]]
    )
    np.testing.assert_array_equal(data["mathach"], values["Y"])
    # The group means differ by one rounding (R sums in extended precision), and the JSON has 15 digits.
    np.testing.assert_allclose(x, values["X"]["values"], rtol=0, atol=6e-15)
    np.testing.assert_array_equal(pd.Categorical(data["id"]).codes + 1, values["J_1"])


def test_hsbsub_equals_the_published_file() -> None:
    published = local_data("hsbsub")
    pd.testing.assert_frame_equal(shipped("hsbsub"), published, rtol=0, atol=5e-16)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sleepstudi", "Did you mean 'sleepstudy'"),
        ("SleepStudy", "Did you mean 'sleepstudy'"),
        ("nothing like it", "Available: Arabidopsis, bdf"),
        ("../datasets/cbpp", "no data set '../datasets/cbpp'"),
        ("hsball", "marklhc/marklai-pages"),
    ],
)
def test_unknown_names_are_answered(name: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BAYESMLM_DATA", raising=False)
    with pytest.raises(DataError, match=words.replace("(", r"\(")):
        load_dataset(name)


class TestUserFolder:
    @pytest.fixture(autouse=True)
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setenv("BAYESMLM_DATA", str(tmp_path))
        return tmp_path

    @staticmethod
    def write(folder: Path, csv: str, **columns: dict[str, Any]) -> None:
        (folder / "mine.csv").write_text(csv, encoding="utf-8")
        if columns:
            (folder / "schema.json").write_text(json.dumps({"mine": {"columns": columns}}), encoding="utf-8")

    def test_schema_gives_types_and_levels(self, folder: Path) -> None:
        columns: dict[str, dict[str, Any]] = {
            "g": {"type": "factor", "levels": ["b", "a", "c"]},
            "o": {"type": "ordered", "levels": "2 levels, sorted: numeric"},
            "i": {"type": "integer"},
            "t": {"type": "character"},
        }
        self.write(folder, "g,o,i,t\na,10,1,NA\nb,9,NA,01\n", **columns)
        data = load_dataset("mine")
        assert data["g"].cat.categories.tolist() == ["b", "a", "c"]
        assert data["o"].cat.categories.tolist() == ["9", "10"]
        assert data["o"].cat.ordered
        assert data["i"].dtype == "float64"
        assert data["t"].isna().tolist() == [True, False]
        assert data["t"][1] == "01"
        assert "mine" in dataset_names()

    def test_without_a_schema_types_are_guessed(self, folder: Path) -> None:
        self.write(folder, "x,t\n1.5,a\nNA,b\n")
        data = load_dataset("mine")
        assert data["x"].dtype == "float64"
        assert data["t"].tolist() == ["a", "b"]

    def test_comes_before_what_ships(self, folder: Path) -> None:
        (folder / "cbpp.csv").write_text("x\n1\n", encoding="utf-8")
        assert list(load_dataset("cbpp")) == ["x"]
        assert list(load_dataset("Dyestuff")) == ["Batch", "Yield"]

    @pytest.mark.parametrize(
        ("columns", "words"),
        [
            ({"x": {"type": "numeric"}}, "column 'x' should hold numbers"),
            ({"x": {"type": "factor", "levels": ["b"]}}, "no such levels of column 'x': a"),
            ({"x": {"type": "complex"}}, "column 'x' has unknown type 'complex'"),
            ({"y": {"type": "numeric"}}, "differ in: x, y"),
        ],
    )
    def test_a_schema_that_does_not_fit_is_an_error(
        self, folder: Path, columns: dict[str, dict[str, Any]], words: str
    ) -> None:
        self.write(folder, "x\na\n", **columns)
        with pytest.raises(DataError, match=words):
            load_dataset("mine")

    def test_a_broken_schema_is_an_error(self, folder: Path) -> None:
        self.write(folder, "x\n1\n")
        (folder / "schema.json").write_text("{", encoding="utf-8")
        with pytest.raises(DataError, match="is not JSON"):
            load_dataset("mine")

    def test_a_missing_folder_is_an_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("BAYESMLM_DATA", "/no/such/folder")
        with pytest.raises(DataError, match="BAYESMLM_DATA names '/no/such/folder'"):
            load_dataset("cbpp")
