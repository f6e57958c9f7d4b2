"""The `table` and `target` parts of the spec."""

from berth_backtest.errors import Problem
from berth_backtest.spec.data import SHA256, local_path
from berth_backtest.spec.fields import Fields, check_text, kind_of
from berth_backtest.spec.types import DataFile

from berth_training.spec.types import Kind, Table, Target

KINDS: tuple[Kind, ...] = ("regression", "classification")
TARGETS = ("forward_return", "sign")
MAX_HORIZON = 100_000
MAX_FEATURES = 100_000


def parse_target(root: Fields) -> Target:
    """Returns the target over prices. `sign` is forward_return as a class: 1 if > 0, else 0."""
    fields = root.object("target")
    if fields.ok:
        fields.required("name")
    name = fields.choice("name", TARGETS, "forward_return")
    if name == "sign" and fields.values.get("kind") == "regression":
        fields.wrong("kind", "sign is a class: leave kind out, or take forward_return")
    kind = fields.choice("kind", KINDS, "classification" if name == "sign" else "regression")
    horizon = fields.integer("horizon", 1, 1, MAX_HORIZON)
    entry = fields.raw("entry")
    if entry is not None and entry not in ("next_open", "close"):
        fields.choice("entry", ("next_open", "close"), "close")
    fields.end()
    known = next((word for word in ("next_open", "close") if word == entry), None)
    return Target(horizon, known, "classification" if kind == "classification" else "regression")


def parse_table(root: Fields) -> Table | None:
    if root.values.get("table") is None:
        root.raw("table")
        return None
    fields = root.object("table")
    for name in ("url", "target", "time"):
        fields.required(name)
    path = local_path(fields.text("url"), fields) if fields.has("url") else ""
    sha256 = fields.text("sha256").lower() or None
    if sha256 and not SHA256.fullmatch(sha256):
        fields.wrong("sha256", "must be 64 hexadecimal digits")
    horizon = None
    if fields.values.get("horizon") is not None:
        horizon = fields.integer("horizon", 1, 1, MAX_HORIZON)
    else:
        fields.raw("horizon")
    label_end = optional_text(fields, "label_end")
    if fields.ok and (horizon is None) == (label_end is None):
        text = "give either horizon (distinct times until the target is known) or label_end (a column)"
        fields.wrong("horizon", text)
    table = Table(
        file=DataFile(path, sha256),
        target=fields.text("target"),
        kind="classification" if fields.choice("kind", KINDS, "regression") != "regression" else "regression",
        time=fields.text("time"),
        group=optional_text(fields, "group"),
        horizon=horizon,
        label_end=label_end,
        features=parse_names(fields),
        timezone=optional_text(fields, "timezone"),
    )
    roles = {"target": table.target, "time": table.time, "group": table.group, "label_end": table.label_end}
    for i, (role, column) in enumerate(roles.items()):
        twin = next((other for other in list(roles)[:i] if column and roles[other] == column), None)
        if twin is not None:
            fields.wrong(role, f"{column!a} is {twin} too: each takes a column of its own")
    fields.end()
    return table


def optional_text(fields: Fields, name: str) -> str | None:
    if fields.values.get(name) is None:
        fields.raw(name)
        return None
    return fields.text(name) or None


def parse_names(fields: Fields) -> tuple[str, ...] | None:
    value = fields.raw("features")
    if not fields.has("features") or value is None or value == []:
        return None
    if not isinstance(value, list) or len(value) > MAX_FEATURES:
        fields.wrong("features", f"must be a list of column names, not {kind_of(value)}")
        return None
    names: dict[str, None] = {}
    for i, item in enumerate(value):
        path = f"{fields.at('features')}[{i}]"
        text = check_text(item, path, fields.problems)
        if text and text in names:
            fields.problems.append(Problem(path, f"{text!a} is there twice"))
        names[text] = None
    return tuple(names)
