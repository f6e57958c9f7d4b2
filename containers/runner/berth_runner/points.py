"""The best points of a sweep, as a program tells them: checked and bounded before they go to Berth."""

from __future__ import annotations

import json
import os

from berth_runner.artifacts import POINTS_FILE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Row = dict[str, Any]

# Of the final report: beside a result of 512 KiB and 1,000 artifacts it still takes them.
FINAL_ROWS_MAX = 1_000
FINAL_BYTES_MAX = 1024**2
# Of a heartbeat, which goes out every few seconds.
PARTIAL_ROWS_MAX = 100
PARTIAL_BYTES_MAX = 128 * 1024
FIELDS_MAX = 100
NAME_MAX_CHARS = 100
POINT_END = 2**53  # beyond it readers of JSON disagree about a number


class BadPoints(Exception):
    """Says what is wrong with them."""


def read_points(out: str) -> list[Row]:
    """The rows of OUT/points.json, none without it. Errors: BadPoints."""
    try:
        with open(os.path.join(out, POINTS_FILE), "rb") as file:
            data = file.read(FINAL_BYTES_MAX + 1)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise BadPoints(f"it cannot be read: {error.strerror}") from None
    if len(data) > FINAL_BYTES_MAX:
        raise BadPoints(f"it is longer than {FINAL_BYTES_MAX} bytes")
    try:
        value = json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise BadPoints(f"it is not JSON: {str(error)[:200]}") from None
    return check_points(value, FINAL_ROWS_MAX, FINAL_BYTES_MAX)


def check_points(value: object, rows_max: int, bytes_max: int) -> list[Row]:
    """The known fields of each row. Errors: BadPoints."""
    if not isinstance(value, list):
        raise BadPoints("it is not a list")
    if len(value) > rows_max:
        raise BadPoints(f"it has {len(value)} rows, the bound is {rows_max}")
    rows = [_row(item, index) for index, item in enumerate(value)]
    if len(json.dumps(rows)) > bytes_max:
        raise BadPoints(f"it is longer than {bytes_max} bytes")
    return rows


def _row(item: object, index: int) -> Row:
    if not isinstance(item, dict):
        raise BadPoints(f"row {index} is not an object")
    point, objective = item.get("point"), item.get("objective")
    if not isinstance(point, int) or isinstance(point, bool) or not 0 <= point < POINT_END:
        raise BadPoints(f"row {index} has no number of its point")
    if objective is not None and not _finite(objective):
        raise BadPoints(f"row {index} has an objective that is no number")
    row: Row = {"point": point, "objective": objective}
    for name in ("parameters", "metrics"):
        fields = item.get(name, {})
        if not isinstance(fields, dict) or len(fields) > FIELDS_MAX:
            raise BadPoints(f"row {index} has {name} that are not an object of {FIELDS_MAX} fields at most")
        for key, field in fields.items():
            if len(key) > NAME_MAX_CHARS or not _plain(field):
                raise BadPoints(f"row {index} has in {name} what is not a short name and a plain value")
        row[name] = fields
    return row


def _plain(value: object) -> bool:
    short = isinstance(value, str) and len(value) <= NAME_MAX_CHARS
    return value is None or short or isinstance(value, bool) or _finite(value)


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
