"""The `features` part of the spec: each entry names one function and makes one column a lag."""

from berth_backtest import indicators
from berth_backtest.errors import Problem
from berth_backtest.spec.fields import Fields, check_number, kind_of, near, shown
from berth_backtest.strategies.series import COLUMNS, signature

from berth_training.spec.types import Column

MAX_FEATURES = 2_000  # columns of one job
MAX_LAGS = 500  # of one entry
MAX_WINDOW = 100_000  # bars
RETURNS = ("ret", "log_ret")
PARTS = ("weekday", "day", "month", "quarter", "week", "hour", "minute")
OWN = (*RETURNS, "lag", "volatility", "rank", "calendar")
NAMES = tuple(sorted((*OWN, *indicators.__all__)))


def parse_features(root: Fields) -> tuple[Column, ...]:
    """Returns the columns in the order of the spec; names are made of the arguments: rsi_14, rank_ret_20."""
    value = root.raw("features")
    if not isinstance(value, list) or not value:
        root.wrong(
            "features", f'must be a list such as [{{"name": "ret", "lags": [1, 5]}}], not {shown(value)}'
        )
        return ()
    found: dict[str, Column] = {}
    for i, item in enumerate(value):
        for column in parse_feature(Fields(item, f"features[{i}]", root.problems)):
            if column.name in found:
                root.problems.append(Problem(column.path, f"makes {column.name} a second time"))
            found[column.name] = column
        if len(found) > MAX_FEATURES:
            root.wrong("features", f"make more than {MAX_FEATURES} columns")
            break
    return tuple(found.values())


def parse_feature(fields: Fields) -> list[Column]:
    name = fields.required("name")
    if name == "rank":
        return parse_rank(fields)
    if name == "calendar":
        return parse_calendar(fields)
    if name in RETURNS or name == "lag":
        columns = (text_column(fields),) if name == "lag" else ("close",)
        lags = parse_lags(fields, least=0 if name == "lag" else 1, required=True)
        fields.end()
        if name == "lag":
            return [
                Column(f"{columns[0]}_lag_{lag}", "lag", columns, (), lag, False, fields.path) for lag in lags
            ]
        return [
            Column(f"{name}_{lag}", str(name), columns, (float(lag),), 0, False, fields.path) for lag in lags
        ]
    if name == "volatility":
        window = fields.integer("window", 0, 2, MAX_WINDOW)
        needs(fields, "window")
        return lagged(fields, "volatility", ("close",), (float(window),))
    if not isinstance(name, str) or name not in indicators.__all__:
        if fields.has("name"):
            fields.wrong("name", f"must be one of {', '.join(NAMES)}, not {shown(name)}{near(name, NAMES)}")
        return []
    return parse_indicator(name, fields)


def parse_indicator(name: str, fields: Fields) -> list[Column]:
    """Returns an indicator of the backtest engine; its arguments have the names of its function."""
    columns, arguments = [], []
    for key, whole in signature(name):
        if key in COLUMNS:
            columns.append(key)
        elif key == "x":
            columns.append(text_column(fields))
        elif needs(fields, key):
            arguments.append(
                float(fields.integer(key, 1, 1, MAX_WINDOW)) if whole else fields.number(key, 1.0, above=0.0)
            )
    return lagged(fields, name, tuple(columns), tuple(arguments))


def parse_rank(fields: Fields) -> list[Column]:
    """Returns the columns of another entry as ranks among the symbols that have a value that date."""
    inner = Fields(fields.required("of"), fields.at("of"), fields.problems)
    fields.end()
    if not inner.ok:
        return []
    if inner.values.get("name") in ("rank", "calendar"):
        inner.wrong("name", "cannot be ranked: it is a rank already, or the same for all symbols")
        return []
    return [
        Column(f"rank_{c.name}", c.function, c.columns, c.arguments, c.lag, True, fields.path)
        for c in parse_feature(inner)
    ]


def parse_calendar(fields: Fields) -> list[Column]:
    parts = fields.required("parts")
    fields.end()
    if not isinstance(parts, list) or not parts:
        fields.wrong("parts", f"must be a list of {', '.join(PARTS)}, not {kind_of(parts)}")
        return []
    for i, part in enumerate(parts):
        if part not in PARTS:
            fields.problems.append(
                Problem(f"{fields.at('parts')}[{i}]", f"must be one of {', '.join(PARTS)}, not {shown(part)}")
            )
            return []
    return [Column(str(part), "calendar", (str(part),), (), 0, False, fields.path) for part in parts]


def lagged(fields: Fields, name: str, columns: tuple[str, ...], arguments: tuple[float, ...]) -> list[Column]:
    """Returns a column for each of `lags` (default: this bar's value)."""
    lags = parse_lags(fields, least=0, required=False)
    fields.end()
    own = "_".join(column for column in columns if fields.has("column") and column != "close")
    words = "_".join([name, *([own] if own else []), *(f"{x:g}" for x in arguments)])
    return [
        Column(f"{words}_lag_{lag}" if lag else words, name, columns, arguments, lag, False, fields.path)
        for lag in lags
    ]


def parse_lags(fields: Fields, least: int, required: bool) -> list[int]:
    value = fields.required("lags") if required else fields.raw("lags")
    if not fields.has("lags"):
        return [] if required else [0]
    if not isinstance(value, list) or not 0 < len(value) <= MAX_LAGS:
        fields.wrong("lags", f"must be a list of 1 to {MAX_LAGS} whole numbers, not {shown(value)}")
        return []
    lags = []
    for i, item in enumerate(value):
        path = f"{fields.at('lags')}[{i}]"
        x = check_number(item, path, fields.problems)
        if x is not None and (x != int(x) or not least <= x <= MAX_WINDOW):
            future = " (a lag below that would be the future)" if x < least else ""
            text = f"must be a whole number from {least} to {MAX_WINDOW}{future}, not {shown(item)}"
            fields.problems.append(Problem(path, text))
        elif x is not None:
            lags.append(int(x))
    return lags


def text_column(fields: Fields) -> str:
    return fields.choice("column", COLUMNS, "close")


def needs(fields: Fields, name: str) -> bool:
    """Refuses an entry that lacks an argument."""
    if not fields.has(name):
        fields.wrong(name, "is required")
        fields.known.append(name)
        return False
    return True
