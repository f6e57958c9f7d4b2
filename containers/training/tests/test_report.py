"""The page, importance and learning curves."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.support import Json, columns_of, planted, run_spec, spec_of, write_table

VOID = {"meta", "line", "path", "circle", "br"}


class Balanced(HTMLParser):
    """Knows whether every tag is closed in its place."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.faults: list[str] = []
        self.heads: list[str] = []

    def handle_starttag(self, tag: str, _attrs: object) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, *_: object) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID and (not self.open or self.open.pop() != tag):
            self.faults.append(tag)

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("h1", "h2"):
            self.heads.append(data)


def page_of(tmp_path: Path, spec: Json) -> tuple[str, list[str]]:
    ran = run_spec(tmp_path / "out", spec)
    text = (ran.out / "report.html").read_text()
    page = Balanced()
    page.feed(text)
    assert page.faults == []
    assert page.open == []
    # One file: nothing is asked of the network, and nothing of a spec becomes a tag.
    assert not re.search(r"https?:|//[a-z]|@import|url\(|<link|src=", text)
    assert "nan" not in re.sub(r"[a-z]*nan[a-z]+|isNaN", "", text.split("<script>")[0])
    return text, page.heads


def test_a_regression_with_a_search_shows_all_of_it(tmp_path: Path) -> None:
    search = {
        "method": "random",
        "trials": 10,
        "space": {"alpha": {"log_uniform": [0.01, 1000]}, "tol": {"log_uniform": [1e-5, 1e-3]}},
        "validation": {"folds": 2},
        "pruner": "none",
    }
    output = {"plots": True, "importance": True, "curves": True, "permutation": True}
    text, heads = page_of(tmp_path, spec_of(planted(tmp_path), search=search, output=output))
    assert heads == [
        "ridge, regression over 1 dates",
        "Before you trust this",
        "Information coefficient, summed over dates",
        "Target by prediction",
        "Folds",
        "Importance of features",
        "Search",
        "Learning curve",
        "By symbol",
        "How it was computed",
    ]
    assert "rmse in selection (biased)" in text
    assert "By coefficient:" in text
    assert "By permutation_rmse:" in text


def test_a_classifier_shows_its_curve_and_calibration(tmp_path: Path) -> None:
    spec = spec_of(
        planted(tmp_path, "classification"),
        "xgboost",
        "classification",
        params={"n_estimators": 10},
        output={"plots": True, "importance": True},
    )
    _, heads = page_of(tmp_path, spec)
    assert "ROC curve" in heads
    assert "Observed by predicted probability" in heads
    assert "Squared error saved against the mean, summed over dates" in heads


def test_a_hold_out_alone_and_names_that_are_no_tags(tmp_path: Path) -> None:
    columns = columns_of(dates=40, symbols=2, features=1)
    columns["<b>&amp;\"'"] = columns.pop("f0")
    columns["symbol"] = [f"<i>{name}" for name in columns["symbol"]]
    columns["y"] = columns.pop("e")
    path = write_table(tmp_path / "t.parquet", columns)
    search = {"trials": 2, "space": {"alpha": {"uniform": [0, 1]}}, "nested": False}
    output = {"plots": True, "importance": True}
    spec = spec_of(path, search=search, validation={"holdout": 0.3}, output=output)
    text, heads = page_of(tmp_path, spec)
    assert "<i>" not in text
    assert "Folds" not in heads
    assert "By symbol" in heads


def test_importance_finds_the_features_that_matter_by_every_method(tmp_path: Path) -> None:
    path = planted(tmp_path)
    for model, method in (
        ("ridge", "coefficient"),
        ("random_forest", "impurity"),
        ("xgboost", "gain"),
        ("gradient_boosting", "permutation_rmse"),
        ("svm", "permutation_rmse"),
    ):
        output = {"importance": True}
        rows = run_spec(tmp_path / model, spec_of(path, model, output=output)).rows("importance")
        assert [row["method"] for row in rows] == [method] * 3
        assert [row["feature"] for row in rows] == ["f0", "f1", "f2"], model
        assert rows[0]["importance"] > 2 * abs(rows[2]["importance"])
        assert (rows[0]["deviation"] is not None) == method.startswith("permutation")


def test_permutation_of_a_useless_feature_costs_nothing(tmp_path: Path) -> None:
    output = {"importance": True, "permutation": True}
    rows = run_spec(tmp_path / "out", spec_of(planted(tmp_path), output=output)).rows("importance")
    found = {row["feature"]: row["importance"] for row in rows if row["method"] == "permutation_rmse"}
    assert found["f2"] == pytest.approx(0.0, abs=0.01)
    assert found["f0"] > found["f1"] > 0.1


def test_a_learning_curve_has_more_rows_from_point_to_point(tmp_path: Path) -> None:
    spec = spec_of(planted(tmp_path), "random_forest", params={"n_estimators": 10}, output={"curves": True})
    curve = run_spec(tmp_path / "out", spec).result["learning_curve"]
    rows = [point["train_rows"] for point in curve]
    assert rows == sorted(rows)
    assert len(rows) == 5
    assert curve[-1]["test"]["rmse"] < curve[0]["test"]["rmse"]
    assert all(point["train"]["rmse"] < point["test"]["rmse"] for point in curve)
