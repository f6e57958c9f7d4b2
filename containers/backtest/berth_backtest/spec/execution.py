"""The `execution` part of the spec."""

from berth_backtest.errors import Problem
from berth_backtest.spec.fields import Fields, check_number, shown
from berth_backtest.spec.types import (
    FILLS,
    STOPS,
    Direction,
    Execution,
    SizingKind,
    StopReference,
)

BPS = 10_000.0
DIRECTIONS: tuple[Direction, ...] = ("long", "short", "both")
REFERENCES: tuple[StopReference, ...] = ("fill", "entry_close", "decision_close")
MAX_MONEY = 1e15  # cash and units: beyond it a cent is lost in the rounding of float64
MAX_BPS = 9_999.0  # a sale must leave a price above 0


def parse_execution(fields: Fields) -> tuple[Execution, dict[str, float]]:
    """Returns the execution and its stops (0 = off), which parameters of the same name override."""
    sizing, sizing_x = parse_sizing(fields)
    profile = fields.raw("profile")
    if profile not in (None, "cn_a"):
        fields.wrong("profile", f"must be null or cn_a, not {shown(profile)}")
    short = fields.flag("allow_short", False)
    if short and profile != "cn_a":
        fields.wrong("allow_short", "belongs to the profile cn_a: elsewhere direction says it")
    direction = fields.choice("direction", DIRECTIONS, "long")
    if profile == "cn_a" and direction != "long" and not short:
        fields.wrong("direction", "A-shares are not sold short: allow_short says that these are")
    if profile == "cn_a" and fields.values.get("fractional") is True:
        fields.wrong("fractional", "A-shares trade in whole lots")
    stops = {name: parse_stop(fields.raw(name), fields, name) for name in STOPS}
    fill = fields.raw("fill")
    if fill is not None and fill not in FILLS:
        fields.wrong("fill", f"must be one of {', '.join(FILLS)}, not {shown(fill)}")
    execution = Execution(
        fill=next((known for known in FILLS if known == fill), None),
        direction=direction,
        sizing=sizing,
        sizing_x=sizing_x,
        cash=fields.number("cash", 10_000.0, above=0.0, most=MAX_MONEY),
        fee=fields.number("fee_bps", 10.0, least=0.0, most=MAX_BPS) / BPS,
        fee_min=fields.number("fee_min", 0.0, least=0.0, most=MAX_MONEY),
        transfer=fields.number("transfer_fee_bps", 0.0, least=0.0, most=MAX_BPS) / BPS,
        stamp=fields.number("stamp_duty_bps", 0.0, least=0.0, most=MAX_BPS) / BPS,
        slippage=fields.number("slippage_bps", 5.0, least=0.0, most=MAX_BPS) / BPS,
        borrow_per_year=fields.number("borrow_bps_per_year", 0.0, least=0.0, most=1e6) / BPS,
        lot=fields.number("lot", 1.0, above=0.0, most=MAX_MONEY),
        fractional=fields.flag("fractional", False),
        stop_reference=fields.choice("stop_reference", REFERENCES, "fill"),
        stop_slippage=fields.flag("stop_slippage", True),
        close_at_end=fields.flag("close_at_end", False),
        retry_entries=fields.flag("retry_entries", False),
        profile="cn_a" if profile == "cn_a" else None,
        given=frozenset(fields.values),
    )
    fields.end()
    return execution, stops


def parse_sizing(fields: Fields) -> tuple[SizingKind, float]:
    value = fields.raw("sizing")
    if not fields.has("sizing") or value == "all_in":
        return "all_in", 0.0
    if not isinstance(value, dict):
        fields.wrong(
            "sizing",
            f'must be "all_in", {{"fraction": x}}, {{"units": n}} or {{"cash": c}}, not {shown(value)}',
        )
        return "all_in", 0.0
    form = Fields(value, fields.at("sizing"), fields.problems)
    kinds: tuple[SizingKind, ...] = ("fraction", "units", "cash")
    given = [kind for kind in kinds if form.has(kind)]
    if len(given) > 1 or (not given and not value):
        form.problems.append(Problem(form.path, "must have exactly one of fraction, units, cash"))
    most = {"fraction": 1.0}
    sizes = {kind: form.number(kind, 0.0, above=0.0, most=most.get(kind, MAX_MONEY)) for kind in given}
    form.known += kinds
    form.end()
    return (given[0], sizes[given[0]]) if given else ("all_in", 0.0)


def parse_stop(value: object, fields: Fields, name: str) -> float:
    """Returns a stop as a fraction of the reference price, 0 for off (null or 0)."""
    if value is None:
        return 0.0
    x = check_number(value, fields.at(name), fields.problems)
    if x is None:
        return 0.0
    text = stop_fault(name, x)
    if text:
        fields.wrong(name, f"{text}, not {shown(value)}")
        return 0.0
    return x


def stop_fault(name: str, x: float) -> str:
    """Says what is wrong with a stop's value, "" if nothing is."""
    if x < 0:
        return "must be 0 (off) or more"
    if x >= 1 and name != "take_profit":
        return "must be a fraction below 1 (0.05 = 5 %)"
    return "" if x <= 1_000 else "must be at most 1000"
