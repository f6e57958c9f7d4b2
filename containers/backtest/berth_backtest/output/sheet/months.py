"""Returns by month and by year."""

from berth_backtest.output.sheet.facts import Year
from berth_backtest.output.sheet.table import DASH, amount, bar, share, table, td, th

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
FADE = 0.08  # a month of +-8 % has the full colour


def month_table(months: dict[tuple[int, int], float], years: list[Year]) -> str:
    """Returns a heat map of the months, each row with its year."""
    rows = []
    for year in years:
        cells = [cell(months.get((year.year, month))) for month in range(1, 13)]
        whole = td(percent_of(year.gain), year.gain, "sum")
        rows.append(th(str(year.year)) + "".join(cells) + whole)
    return f'<div class="heat">{table(("", *MONTHS, "Year"), rows, "Returns by month, in percent")}</div>'


def cell(value: float | None) -> str:
    if value is None:
        return "<td></td>"
    kind = "up" if value >= 0 else "down"
    strength = min(abs(value) / FADE, 1.0)
    return f'<td class="cell {kind}" style="--s:{strength * 100:.0f}%">{percent_of(value)}</td>'


def percent_of(value: float | None) -> str:
    """Returns percent without a sign for it."""
    if value is None:
        return DASH
    text = f"{value * 100:.1f}"
    return "0.0" if text == "-0.0" else text


def year_table(years: list[Year], benchmark: str | None) -> str:
    """Returns what each year came to."""
    most = max((abs(year.pnl) for year in years), default=0.0)
    head = ["Year", "Gain", "Return", *([benchmark] if benchmark else [])]
    head += ["Drawdown", "Trades closed", "Won"]
    rows = []
    for year in years:
        won = year.wins / year.trades if year.trades else None
        rows.append(
            th(str(year.year))
            + bar(year.pnl, most, amount(year.pnl))
            + td(share(year.gain), year.gain)
            + (td(share(year.benchmark), year.benchmark) if benchmark else "")
            + td(share(year.drawdown), year.drawdown)
            + td(f"{year.trades:,}", year.trades)
            + td(share(won, 1), won)
        )
    return table(head, rows, "Attribution by year", sortable=True)
