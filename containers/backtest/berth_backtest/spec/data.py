"""The `data` part of the spec."""

import re
from datetime import datetime
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

from berth_backtest.errors import Problem
from berth_backtest.spec.fields import Fields, check_text, kind_of, shown
from berth_backtest.spec.types import Adjustment, DataFile, DataSpec

ADJUSTMENTS: tuple[Adjustment, ...] = ("none", "split", "total")
MAX_FILES = 10_000
MAX_SYMBOLS = 100_000
SHA256 = re.compile(r"[0-9a-f]{64}")


def parse_data(fields: Fields) -> DataSpec:
    dataset = fields.text("dataset") or None
    files = parse_files(fields)
    if fields.has("dataset") == fields.has("files"):
        fields.wrong("dataset", "give either data.dataset or data.files")
    if fields.has("files") and not fields.has("adjustment"):
        fields.wrong(
            "adjustment",
            "is required for files: none, split or total, whatever their prices are adjusted for",
        )
    if fields.has("dataset"):
        for name in ("adjustment", "timezone", "bar_label", "currency"):
            if fields.has(name):
                fields.wrong(name, "belongs to data.files: a data set knows its own")
    start, end = parse_date(fields, "start"), parse_date(fields, "end")
    if start and end and start[:10] > end[:10]:
        fields.wrong("start", f"{start} lies after data.end {end}")
    spec = DataSpec(
        dataset=dataset,
        files=files,
        symbols=parse_symbols(fields),
        start=start,
        end=end,
        adjustment=fields.choice("adjustment", ADJUSTMENTS, "total"),
        timezone=parse_timezone(fields),
        bar_label="start" if fields.choice("bar_label", ("end", "start"), "end") == "start" else "end",
        currency=fields.text("currency") or None,
    )
    fields.end()
    return spec


def parse_files(fields: Fields) -> tuple[DataFile, ...]:
    value = fields.raw("files")
    if not fields.has("files"):
        return ()
    if not isinstance(value, list) or not value:
        fields.wrong("files", f'must be a list of {{"url", "sha256"}}, not {kind_of(value)}')
        return ()
    if len(value) > MAX_FILES:
        fields.wrong("files", f"must have at most {MAX_FILES} files")
        return ()
    found = []
    for i, item in enumerate(value):
        file = Fields(item, fields.at(f"files[{i}]"), fields.problems)
        file.required("url")
        path = local_path(file.text("url"), file)
        sha256 = file.text("sha256").lower() or None
        if sha256 and not SHA256.fullmatch(sha256):
            file.wrong("sha256", "must be 64 hexadecimal digits")
        file.end()
        found.append(DataFile(path, sha256))
    return tuple(found)


def local_path(url: str, file: Fields) -> str:
    """Returns the path of a file:// address or of a plain path; others are the runner's to fetch."""
    if "://" not in url:
        return url
    parts = urlsplit(url)
    if parts.scheme == "file" and parts.netloc in ("", "localhost") and "%00" not in parts.path:
        return unquote(parts.path)
    if parts.scheme == "file":
        file.wrong("url", "a file:// address must name a file on this machine: file:///path/prices.csv")
    elif parts.scheme in ("https", "http", "s3"):
        file.wrong(
            "url",
            f"{parts.scheme}:// data is fetched by the runner of a job: download it and give its path",
        )
    else:
        file.wrong("url", f"must be a path, file://, https:// or s3://, not {shown(url)}")
    return ""


def parse_symbols(fields: Fields) -> tuple[str, ...] | None:
    value = fields.raw("symbols")
    if not fields.has("symbols"):
        return None
    if not isinstance(value, list) or not value:
        fields.wrong("symbols", "must be a list of symbols; leave it out for all")
        return None
    if len(value) > MAX_SYMBOLS:
        fields.wrong("symbols", f"must have at most {MAX_SYMBOLS} symbols")
        return None
    symbols: dict[str, None] = {}
    for i, item in enumerate(value):
        path = fields.at(f"symbols[{i}]")
        text = check_text(item, path, fields.problems)
        if text and text in symbols:
            fields.problems.append(Problem(path, f"{shown(text)} is there twice"))
        symbols[text] = None
    return tuple(symbols)


def parse_date(fields: Fields, name: str) -> str | None:
    """Returns a date, or a timestamp with its zone, as ISO 8601 text."""
    if not fields.has(name):
        fields.raw(name)
        return None
    if fields.values[name] is None:
        fields.raw(name)
        return None
    text = fields.text(name)
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    dated = re.fullmatch(r"\d{4}-\d{2}-\d{2}", text) is not None
    if moment is None or (not dated and (moment.tzinfo is None or not re.match(r"\d{4}-\d{2}-\d{2}T", text))):
        fields.wrong(
            name,
            f"must be a date such as 2010-01-31, or a time with its zone, not {shown(text)}",
        )
        return None
    return text


def parse_timezone(fields: Fields) -> str | None:
    name = fields.text("timezone") or None
    if name is not None:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            fields.wrong("timezone", f"must be a zone such as America/New_York, not {shown(name)}")
            return None
    return name
