"""What stands before the numbers: whether they can be believed."""

from dataclasses import dataclass
from html import escape
from typing import Any, Literal

from berth_backtest.honest.overfitting import EVEN, SURE
from berth_backtest.output.best import Best
from berth_backtest.output.result import FEW_TRADES
from berth_backtest.output.sheet.table import DASH, figure, share

Json = dict[str, Any]


MANY_REJECTED = 0.05  # of all orders: more, and the run is not what the strategy wanted
MARKS = {"good": "\N{CHECK MARK}", "bad": "!", "open": "?"}
SPOKEN = {"good": "passed", "bad": "doubtful", "open": "not known"}


@dataclass(frozen=True)
class Check:
    state: Literal["good", "bad", "open"]
    name: str
    value: str
    says: str


def trust_part(result: Json, best: Best) -> str:
    """Returns the warnings and the checks behind them, those that were passed too."""
    warnings = result["warnings"]
    items = "".join(f"<li><b>{escape(w['code'])}</b> {escape(w['message'])}</li>" for w in warnings)
    listed = f"<ul>{items}</ul>" if items else ""
    checks = "".join(shown(check) for check in checks_of(result, best))
    kind, content = "warnings" if warnings else "checked", f'{listed}<ul class="checks">{checks}</ul>'
    return f'<section class="{kind}" id="trust"><h2>Before you trust this</h2>{content}</section>'


def shown(check: Check) -> str:
    mark = (
        f'<i aria-hidden="true">{MARKS[check.state]}</i><span class="unseen">{SPOKEN[check.state]}: </span>'
    )
    return (
        f'<li class="{check.state}">{mark}<span>{escape(check.name)}</span><b>{escape(check.value)}</b>'
        f"<small>{escape(check.says)}</small></li>"
    )


def checks_of(result: Json, best: Best) -> list[Check]:
    return [
        look_ahead(result),
        few_trades(best),
        *overfitting(result),
        out_of_sample(result),
        rejected(best),
        survivorship(result),
    ]


def look_ahead(result: Json) -> Check:
    found = result["look_ahead"]
    if found["ok"] is None:
        return Check("open", "Look-ahead", "not checked", "nothing says that it uses only what was known")
    says = f"{found['checked']} comparisons with the future cut off; leaks in the data are not seen"
    return Check("good", "Look-ahead", "none found", says)


def few_trades(best: Best) -> Check:
    count = len(best.closed)
    says = (
        f"fewer than {FEW_TRADES} say next to nothing" if count < FEW_TRADES else "of the set that is shown"
    )
    return Check("bad" if count < FEW_TRADES else "good", "Closed trades", f"{count:,}", says)


def overfitting(result: Json) -> list[Check]:
    found = result["overfitting"]
    trials, pbo, dsr = found["trials"], found["pbo"], found["deflated_sharpe"]
    if trials < 2:
        says = "one set was tried: nothing was chosen by its result"
        chance = Check("good", "Probability of overfitting", DASH, says)
    elif pbo is None:
        chance = Check("open", "Probability of overfitting", "not measured", "too few sets or dates")
    else:
        says = f"how often the best of {found['sampled']:,} sets falls behind the middle on other dates"
        chance = Check("bad" if pbo >= EVEN else "good", "Probability of overfitting", f"{pbo:.3f}", says)
    name = "Deflated Sharpe ratio"
    if dsr is None:
        return [
            chance,
            Check("open", name, "not measured", "it has no deviation, or that of the trials is unknown"),
        ]
    says = f"how sure its Sharpe ratio is above the luck of {trials:,} trials"
    return [chance, Check("bad" if dsr < SURE else "good", name, f"{dsr:.3f}", says)]


def out_of_sample(result: Json) -> Check:
    found, objective = result["validation"], result["effective_spec"]["search"]["objective"]
    if found is None:
        if result["points"] < 2:
            return Check(
                "open", "Out of sample", "not measured", "walk-forward would choose and test on other dates"
            )
        says = "the dates that chose are the dates that are shown: use walk_forward"
        return Check("bad", "Out of sample", "not measured", says)
    kept = any(w["code"] == "worse_out_of_sample" for w in result["warnings"])
    value = f"{objective} {figure(found['oos_objective'], 3)}"
    return Check(
        "bad" if kept else "good", "Out of sample", value, f"{len(found['folds'])} tests, one after the other"
    )


def rejected(best: Best) -> Check:
    count = sum(best.rejected.values())
    if count + best.fills == 0:
        return Check("open", "Orders not filled", DASH, "no order was given")
    part = count / (count + best.fills)
    says = (
        ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in best.rejected.items()) or "all were filled"
    )
    return Check("bad" if part > MANY_REJECTED else "good", "Orders not filled", share(part, 1), says)


def survivorship(result: Json) -> Check:
    if any(w["code"] == "survivorship" for w in result["warnings"]):
        return Check("bad", "Survivorship", "survivors only", "companies that failed are not in the data")
    return Check("open", "Survivorship", "not known", "the data decides: are failed companies in it?")
