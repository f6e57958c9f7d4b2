"""Joins what the shards of a sweep wrote into the sweep that one whole run would have found."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as papq

from berth_backtest.chunks import COUNTS
from berth_backtest.device import Device, from_json, joined_device
from berth_backtest.errors import ProgramError, invalid
from berth_backtest.honest.blocks import Blocks
from berth_backtest.honest.sample import chosen
from berth_backtest.kept import Arrays
from berth_backtest.metrics import NAMES
from berth_backtest.output.tables import read_blocks
from berth_backtest.plan import Plan
from berth_backtest.report import log
from berth_backtest.shard import BLOCKS_FILE, MAX_SHARD_BYTES, SHARD_FILE, Shard, span_of
from berth_backtest.sweep import Sweep, Tally, identity_of, keeps_all, new_tally

Json = dict[str, Any]

ROWS_AT_ONCE = 200_000


def merge(plan: Plan, shard: Shard) -> tuple[Sweep, float]:
    """Returns the sweep of all shards, and the seconds that they ran."""
    total, identity = plan.grid.total, identity_of(plan)
    tally = new_tally(plan, 0)
    missing: list[tuple[int, int]] = []
    seconds, finished = 0.0, True
    samples: list[Blocks | None] = []
    devices: list[Device] = []
    folders = dict(shard.folders)
    for index in range(shard.of):
        span = span_of(index, shard.of, total)
        if index not in folders:
            if span[0] < span[1]:
                missing.append(span)
            continue
        state = read_state(folders[index], index, shard.of, identity)
        add_shard(tally, folders[index], state, span)
        samples.append(sample_of(plan, folders[index], state, span))
        seconds += float(state["run_s"])
        devices.append(device_of(folders[index], state))
        finished = finished and bool(state["finished"])
    tally.reached = total
    log(f"{len(folders)} of {shard.of} shards joined: {tally.tried} parameter sets")
    if tally.tried == 0:
        raise nothing_to_show(plan, missing)
    device = joined_device(devices)
    return tally.sweep(finished, tuple(missing), joined(plan, samples), device=device), seconds


def device_of(folder: Path, state: Json) -> Device:
    try:
        return from_json(state["device"])
    except (TypeError, KeyError) as error:
        raise broken(folder, f"{SHARD_FILE} does not say where it ran: {error}") from None


def nothing_to_show(plan: Plan, missing: list[tuple[int, int]]) -> Exception:
    if missing:
        return invalid("", "no shard left a result to merge")
    return plan.grid.no_valid(plan.spec.strategy.definition)


def read_state(folder: Path, index: int, of: int, identity: str) -> Json:
    """Returns a shard's own account of what it ran; refuses one of another sweep."""
    path = folder / SHARD_FILE
    try:
        with path.open("rb") as stream:
            state = json.loads(stream.read(MAX_SHARD_BYTES))
        known = state["index"], state["of"]
        same = state["identity"] == identity
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise broken(folder, f"{SHARD_FILE} cannot be read: {error}") from None
    if known != (index, of):
        raise broken(folder, f"it is shard {known[0]} of {known[1]}, not {index} of {of}")
    if not same:
        raise broken(folder, "it ran another spec, other data or another version of the program")
    return dict(state)


def broken(folder: Path, text: str) -> ProgramError:
    return invalid("", f"shard {folder.name} cannot be merged: {text}")


def add_shard(tally: Tally, folder: Path, state: Json, span: tuple[int, int]) -> None:
    """Adds a shard's rows and sums."""
    try:
        heat = np.array(state["heat"], dtype=np.float64).reshape(tally.heat.shape)
        sums = {name: int(state["counts"][name]) for name in COUNTS}
        tally.join({**state, "counts": sums}, heat)
        rows = 0
        for part in read_parts(tally.plan, folder):
            points = part["points"]
            if len(points) and not span[0] <= points.min() <= points.max() < span[1]:
                raise broken(folder, "points.parquet holds points of another shard")
            tally.kept.add(part)
            rows += len(points)
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        raise broken(folder, f"its files cannot be read: {str(error)[:300]}") from None
    if rows > int(state["tried"]) or rows != int(state["rows"]):
        raise broken(folder, f"points.parquet holds {rows} points, not {state['rows']}")


def sample_of(plan: Plan, folder: Path, state: Json, span: tuple[int, int]) -> Blocks | None:
    """Returns the sums of a shard's sample, None where it was stopped before it had them."""
    if state["sampled"] is None:
        return None
    try:
        blocks = read_blocks(folder / BLOCKS_FILE, plan.panel.bars)
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        raise broken(folder, f"its files cannot be read: {str(error)[:300]}") from None
    points = blocks.points
    if len(points) and not span[0] <= points.min() <= points.max() < span[1]:
        raise broken(folder, f"{BLOCKS_FILE} holds points of another shard")
    if len(points) != state["sampled"]:
        raise broken(folder, f"{BLOCKS_FILE} holds {len(points)} points, not {state['sampled']}")
    return blocks


def joined(plan: Plan, samples: list[Blocks | None]) -> Blocks | None:
    """Returns the sample of all points from those of the shards, None if one of them has none."""
    known = [one for one in samples if one is not None]
    if len(known) < len(samples) or not known:
        return None
    points = np.concatenate([one.points for one in known])
    places = chosen(plan.spec.search.seed, points)
    sums = np.concatenate([one.sums for one in known])[places]
    return Blocks(points[places], sums, plan.panel.bars)


def read_parts(plan: Plan, folder: Path) -> list[Arrays]:
    """Returns the rows of a shard's Parquet files."""
    columns = ["point", "objective", *NAMES]
    batches = papq.ParquetFile(folder / "points.parquet").iter_batches(ROWS_AT_ONCE, columns=columns)
    parts: list[Arrays] = [
        {
            "points": batch.column("point").to_numpy(),
            "objective": numbers(batch, "objective"),
            "means": np.stack([numbers(batch, name) for name in NAMES], axis=1),
        }
        for batch in batches
    ]
    if keeps_all(plan) and parts:
        table = papq.read_table(folder / "metrics.parquet", columns=list(NAMES))
        metrics = np.stack([numbers(table, name) for name in NAMES], axis=1)
        metrics = metrics.reshape(-1, len(plan.accounts), len(NAMES))
        ends = np.cumsum([len(part["points"]) for part in parts])[:-1]
        for part, some in zip(parts, np.split(metrics, ends), strict=True):
            part["metrics"] = some
    return parts


def numbers(table: Any, name: str) -> Any:
    """Returns a column as float64, NaN for null."""
    return table.column(name).cast(pa.float64()).to_numpy(zero_copy_only=False)
