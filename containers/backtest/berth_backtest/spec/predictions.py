"""The `strategy` of a file of predictions: which rows, which rule, how often."""

import math
from typing import Literal

from berth_backtest.errors import Problem
from berth_backtest.spec.data import SHA256, local_path
from berth_backtest.spec.fields import Fields, check_number, shown
from berth_backtest.spec.types import DataFile, Portfolio, Predictions, Strategy
from berth_backtest.strategies.definition import Definition

TARGETS = 4  # kernel.moves.TARGETS, which is not imported before a spec is known to be right
MAX_PATHS = 1_000_000
MAX_EVERY = 100_000  # dates
MAX_TOP = 100_000  # symbols
Rule = Literal["top_k", "sign", "threshold"]
RULES: tuple[Rule, ...] = ("top_k", "sign", "threshold")


def parse_predictions(fields: Fields) -> Strategy | None:
    file = fields.object("predictions")
    found = parse_file(file)
    path = file.integer("path", 0, 0, MAX_PATHS)
    file.end()
    rule = parse_rule(fields)
    every = fields.integer("every", 1, 1, MAX_EVERY)
    fields.end()
    if rule is None:
        return None
    given = Predictions(found, path, rule[0], rule[1], every)
    return Strategy(Definition("predictions", move_kind=TARGETS), "cross", predictions=given)


def parse_file(file: Fields) -> DataFile:
    """Returns the file of an object with url and sha256; the caller ends it."""
    file.required("url")
    path = local_path(file.text("url"), file)
    sha256 = file.text("sha256").lower() or None
    if sha256 and not SHA256.fullmatch(sha256):
        file.wrong("sha256", "must be 64 hexadecimal digits")
    return DataFile(path, sha256)


def parse_rule(fields: Fields) -> tuple[Rule, float] | None:
    """Returns the rule and its number, None after a problem."""
    value = fields.required("rule")
    if not fields.has("rule"):
        return None
    rule = Fields(value, fields.at("rule"), fields.problems)
    given = [name for name in RULES if rule.has(name)]
    rule.known += RULES
    before = len(fields.problems)
    rule.end()
    if not rule.ok or len(fields.problems) > before:
        return None
    if len(given) != 1:
        fields.wrong("rule", 'must be {"top_k": n}, {"sign": true} or {"threshold": x}')
        return None
    if given[0] == "sign":
        if rule.values["sign"] is not True:
            rule.wrong("sign", f"must be true, not {shown(rule.values['sign'])}")
            return None
        return "sign", 0.0
    x = check_number(rule.values[given[0]], rule.at(given[0]), fields.problems)
    if given[0] == "threshold":
        return None if x is None else ("threshold", x)
    if x is not None and (x != math.floor(x) or not 1 <= x <= MAX_TOP):
        rule.wrong("top_k", f"must be a whole number from 1 to {MAX_TOP}, not {shown(rule.values['top_k'])}")
        return None
    return None if x is None else ("top_k", x)


def check_top_k(strategy: Strategy | None, portfolio: Portfolio, problems: list[Problem]) -> None:
    chosen = strategy.predictions if strategy is not None else None
    if chosen is not None and chosen.rule == "top_k" and portfolio.mode != "shared":
        text = 'must be "shared": top_k spreads one purse over the symbols'
        problems.append(Problem("portfolio.mode", text))
