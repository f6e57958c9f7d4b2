"""Made from openapi.json by generate_types.py: change neither by hand."""

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict


class Artifact(TypedDict):
    name: str
    bytes: int
    sha256: str
    content_type: str
    url: str


class CancelJobs(TypedDict):
    state: NotRequired[Literal["queued", "scheduled", "running", "cancelling", "succeeded", "failed", "cancelled"]]
    kind: NotRequired[str]
    label: NotRequired[str]
    provider: NotRequired[str]
    created_after: NotRequired[str]
    created_before: NotRequired[str]
    cursor: NotRequired[str]


class DatasetUpload(TypedDict):
    part_bytes: int
    parts: int
    received: list[int]


class Dataset(TypedDict):
    id: str
    name: str
    format: Literal["parquet", "csv"]
    bytes: int
    sha256: str
    adjustment: Literal["none", "split", "total"]
    timezone: str | None
    bar_label: Literal["start", "end"] | None
    currency: str | None
    state: Literal["uploading", "ready"]
    columns: list[str] | None
    rows: int | None
    first: str | None
    last: str | None
    created_at: str
    upload: DatasetUpload | None


class DatasetRequest(TypedDict):
    name: str
    format: Literal["parquet", "csv"]
    bytes: int
    sha256: str
    adjustment: Literal["none", "split", "total"]
    timezone: NotRequired[str]
    bar_label: NotRequired[Literal["start", "end"]]
    currency: NotRequired[str]


class RankedOffer(TypedDict):
    provider: str
    account: str
    region: str
    offer: str
    spot: bool
    usd_per_hour: float
    expected_duration_s: float | None
    expected_usd: float | None
    basis: Literal["history", "model"] | None


class RejectedOffers(TypedDict):
    reason: Literal["policy", "provider", "region", "no_image", "no_containers", "spot", "price", "device", "gpu_model", "gpu_unknown", "gpu_count", "gpu_memory", "compute_capability", "cpu", "memory", "disk", "budget", "deadline", "tried", "no_stock", "capacity", "quota", "balance", "unauthorized", "throttled", "unavailable", "limit", "busy"]
    text: str
    count: int
    examples: list[str]


class EstimateWarningsItem(TypedDict):
    code: str
    message: str


class Estimate(TypedDict):
    offers: list[RankedOffer]
    rejected: list[RejectedOffers]
    estimated_usd: float | None
    shards: int
    cached: str | None
    warnings: list[EstimateWarningsItem]


class Event(TypedDict):
    sequence: int
    type: str
    at: str
    data: dict[str, Any]


class ExplanationReason(TypedDict):
    code: str
    text: str


class ExplanationAttemptsItem(TypedDict):
    id: str
    outcome: str | None
    text: str


class Explanation(TypedDict):
    state: Literal["queued", "scheduled", "running", "cancelling", "succeeded", "failed", "cancelled"]
    reason: ExplanationReason
    since: str
    queue_position: int | None
    eta_s: float | None
    next_try_at: str | None
    follows: str | None
    offers: list[RankedOffer]
    rejected: list[RejectedOffers]
    attempts: list[ExplanationAttemptsItem]


class JobError(TypedDict):
    code: Literal["user_code", "invalid_params", "look_ahead", "out_of_memory", "disk_full", "killed", "image", "gpu_preflight", "start_timeout", "queue_timeout", "timed_out", "deadline", "over_budget", "preempted", "lost", "quota", "runner_crashed", "provider", "result_missing"]
    message: str
    where: Literal["user", "program", "provider", "berth"]
    exit_code: int | None
    hint: str | None
    log_tail: str | None


class JobShards(TypedDict):
    total: int
    waiting: int
    active: int
    succeeded: int
    failed: int


class Attempt(TypedDict):
    id: str
    number: int
    shard: int
    state: Literal["launching", "starting", "running", "stopping", "ended"]
    provider: str
    account: str
    region: str
    offer: str
    device: str | None
    spot: bool
    usd_per_hour: float
    created_at: str
    started_at: str | None
    ended_at: str | None
    outcome: Literal["succeeded", "failed", "timed_out", "over_budget", "cancelled", "stopped", "preempted", "lost", "no_capacity", "quota", "rejected", "image_error"] | None
    exit_code: int | None


class JobCost(TypedDict):
    estimated_usd: float | None
    actual_usd: float
    final: bool
    basis: Literal["billed", "modelled"]


class JobLinks(TypedDict):
    self: str
    result: str
    artifacts: str
    logs: str


class Job(TypedDict):
    id: str
    kind: str
    name: str | None
    state: Literal["queued", "scheduled", "running", "cancelling", "succeeded", "failed", "cancelled"]
    progress: float
    phase: str | None
    priority: Literal["low", "normal", "high", "urgent"]
    created_at: str
    started_at: str | None
    finished_at: str | None
    outcome: Literal["succeeded", "failed", "timed_out", "over_budget", "cancelled", "stopped", "preempted", "lost", "no_capacity", "quota", "rejected", "image_error"] | None
    error: JobError | None
    warnings: list[EstimateWarningsItem]
    shards: JobShards
    attempts: list[Attempt]
    cost: JobCost
    result: NotRequired[Any]
    labels: dict[str, str]
    cached_from: str | None
    params: dict[str, Any]
    resources: dict[str, Any]
    links: JobLinks


class ProblemErrorsItem(TypedDict):
    path: str
    message: str


class Problem(TypedDict):
    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[ProblemErrorsItem]
    request_id: str


class JobBatchItem(TypedDict):
    index: int
    job: NotRequired[Job]
    problem: NotRequired[Problem]


class BacktestParamsDataFilesItem(TypedDict):
    url: str
    sha256: NotRequired[str]


class BacktestParamsData(TypedDict):
    dataset: NotRequired[str]
    files: NotRequired[list[BacktestParamsDataFilesItem]]
    adjustment: NotRequired[Literal["none", "split", "total"]]
    timezone: NotRequired[str]
    bar_label: NotRequired[Literal["start", "end"]]
    currency: NotRequired[str]
    symbols: NotRequired[list[str]]
    start: NotRequired[str]
    end: NotRequired[str]


class BacktestParamsStrategyPredictions(TypedDict):
    url: str
    sha256: NotRequired[str]
    path: NotRequired[int]


class BacktestParamsStrategyRule1(TypedDict):
    top_k: int


class BacktestParamsStrategyRule2(TypedDict):
    sign: Literal[True]


class BacktestParamsStrategyRule3(TypedDict):
    threshold: float


BacktestParamsStrategy = TypedDict(
    "BacktestParamsStrategy",
    {
        "name": NotRequired[Literal["sma_cross", "ema_cross", "macd", "rsi", "bollinger", "zscore", "donchian", "momentum_top_k", "buy_and_hold"]],
        "entry": NotRequired[Literal["cross", "level"]],
        "rebalance": NotRequired[int | Literal["weekly", "monthly"]],
        "source": NotRequired[str],
        "class": NotRequired[str],
        "signals": NotRequired[BacktestParamsDataFilesItem],
        "predictions": NotRequired[BacktestParamsStrategyPredictions],
        "rule": NotRequired[BacktestParamsStrategyRule1 | BacktestParamsStrategyRule2 | BacktestParamsStrategyRule3],
        "every": NotRequired[int],
    },
)


class BacktestParamsParametersValue3(TypedDict):
    values: list[float | None]


class BacktestParamsParametersValue4(TypedDict):
    range: list[Any]


class BacktestParamsParametersValue5(TypedDict):
    uniform: list[Any]


class BacktestParamsParametersValue6(TypedDict):
    log_uniform: list[Any]


class BacktestParamsParametersValue7(TypedDict):
    int_uniform: list[Any]


class BacktestParamsSearch(TypedDict):
    method: NotRequired[Literal["grid", "random", "tpe"]]
    trials: NotRequired[int]
    batch: NotRequired[int]
    objective: NotRequired[Literal["total_return", "annual_return", "annual_volatility", "sharpe", "sortino", "calmar", "max_drawdown", "max_drawdown_bars", "trades", "open_trades", "win_rate", "profit_factor", "exposure", "turnover", "fees", "final_equity"]]
    aggregate: NotRequired[Literal["mean", "median", "min"]]
    min_trades: NotRequired[int]
    prior_trials: NotRequired[int]
    seed: NotRequired[int]


class BacktestParamsExecutionSizing2(TypedDict):
    fraction: float


class BacktestParamsExecutionSizing3(TypedDict):
    units: float


class BacktestParamsExecutionSizing4(TypedDict):
    cash: float


class BacktestParamsExecution(TypedDict):
    fill: NotRequired[Literal["next_open", "next_close", "close"]]
    direction: NotRequired[Literal["long", "short", "both"]]
    sizing: NotRequired[Literal["all_in"] | BacktestParamsExecutionSizing2 | BacktestParamsExecutionSizing3 | BacktestParamsExecutionSizing4]
    cash: NotRequired[float]
    fee_bps: NotRequired[float]
    fee_min: NotRequired[float]
    transfer_fee_bps: NotRequired[float]
    stamp_duty_bps: NotRequired[float]
    slippage_bps: NotRequired[float]
    borrow_bps_per_year: NotRequired[float]
    lot: NotRequired[float]
    fractional: NotRequired[bool]
    profile: NotRequired[Literal["cn_a"]]
    allow_short: NotRequired[bool]
    stop_loss: NotRequired[float | None]
    take_profit: NotRequired[float | None]
    trailing_stop: NotRequired[float | None]
    stop_reference: NotRequired[Literal["fill", "entry_close", "decision_close"]]
    stop_slippage: NotRequired[bool]
    retry_entries: NotRequired[bool]
    close_at_end: NotRequired[bool]


class BacktestParamsPortfolio(TypedDict):
    mode: NotRequired[Literal["per_symbol", "shared"]]
    call_sequence: NotRequired[Literal["auto", "given"]]


class BacktestParamsValidation(TypedDict):
    method: NotRequired[Literal["none", "walk_forward"]]
    folds: NotRequired[int]
    train_bars: NotRequired[int | None]
    test_bars: NotRequired[int | None]
    anchored: NotRequired[bool]
    purge: NotRequired[int]


class BacktestParamsBenchmark2(TypedDict):
    symbol: str


class BacktestParamsOutput(TypedDict):
    top_k: NotRequired[int]
    metrics: NotRequired[Literal["auto", "all"]]
    tearsheet: NotRequired[bool]
    look_ahead_check: NotRequired[bool]
    robustness: NotRequired[bool]


class BacktestParams(TypedDict):
    data: BacktestParamsData
    strategy: BacktestParamsStrategy
    parameters: NotRequired[dict[str, float | BacktestParamsParametersValue3 | BacktestParamsParametersValue4 | BacktestParamsParametersValue5 | BacktestParamsParametersValue6 | BacktestParamsParametersValue7 | None]]
    search: NotRequired[BacktestParamsSearch]
    execution: NotRequired[BacktestParamsExecution]
    portfolio: NotRequired[BacktestParamsPortfolio]
    validation: NotRequired[BacktestParamsValidation]
    benchmark: NotRequired[Literal["equal_weight"] | BacktestParamsBenchmark2 | BacktestParamsDataFilesItem | None]
    periods_per_year: NotRequired[float]
    risk_free: NotRequired[float]
    output: NotRequired[BacktestParamsOutput]


class ResourcesGpu(TypedDict):
    models: NotRequired[list[str]]
    count: NotRequired[int]
    memory_gib: NotRequired[float]
    compute_capability: NotRequired[str]


class Resources(TypedDict):
    device: NotRequired[str]
    gpu: NotRequired[ResourcesGpu | None]
    cpu: NotRequired[float]
    memory_gib: NotRequired[float]
    disk_gib: NotRequired[float]


class JobSpecBacktestParallelism(TypedDict):
    max_shards: NotRequired[int]
    on_shard_failure: NotRequired[Literal["fail", "continue"]]


class JobSpecBacktestPlacement(TypedDict):
    providers: NotRequired[list[str]]
    regions: NotRequired[list[str]]
    spot: NotRequired[Literal["never", "allow", "only"]]
    max_usd_per_hour: NotRequired[float]
    optimize: NotRequired[Literal["cost", "speed"]]


class JobSpecBacktestRetry(TypedDict):
    max_attempts: NotRequired[int]


class JobSpecBacktestWebhook(TypedDict):
    url: str
    events: NotRequired[list[Literal["job.queued", "job.scheduled", "job.running", "job.retrying", "job.succeeded", "job.failed", "job.cancelled", "job.bootstrap_refused"]]]


class JobSpecBacktest(TypedDict):
    kind: Literal["backtest"]
    params: BacktestParams
    name: NotRequired[str]
    resources: NotRequired[Resources]
    parallelism: NotRequired[JobSpecBacktestParallelism]
    placement: NotRequired[JobSpecBacktestPlacement]
    retry: NotRequired[JobSpecBacktestRetry]
    timeout_s: NotRequired[int]
    queue_timeout_s: NotRequired[int]
    deadline_at: NotRequired[str | None]
    priority: NotRequired[Literal["low", "normal", "high", "urgent"]]
    budget_usd: NotRequired[float]
    cache: NotRequired[bool]
    strict: NotRequired[bool]
    labels: NotRequired[dict[str, str]]
    webhook: NotRequired[JobSpecBacktestWebhook]


class TrainingParamsFeaturesItem(TypedDict):
    name: str


class TrainingParamsTarget(TypedDict):
    name: Literal["forward_return", "sign"]
    horizon: NotRequired[int]
    entry: NotRequired[Literal["next_open", "close"] | None]
    kind: NotRequired[Literal["regression", "classification"]]


class TrainingParamsTable(TypedDict):
    url: str
    sha256: NotRequired[str]
    target: str
    kind: NotRequired[Literal["regression", "classification"]]
    time: str
    group: NotRequired[str | None]
    horizon: NotRequired[int | None]
    label_end: NotRequired[str | None]
    features: NotRequired[list[str] | None]
    timezone: NotRequired[str | None]


class TrainingParamsPreprocess(TypedDict):
    impute: NotRequired[Literal["median", "mean", "zero"] | None]
    scale: NotRequired[Literal["standard", "robust", "none"] | None]
    winsorize: NotRequired[float | None]


class TrainingParamsModel(TypedDict):
    name: Literal["linear", "ridge", "lasso", "logistic", "svm", "random_forest", "gradient_boosting", "xgboost"]
    params: NotRequired[dict[str, Any]]


class TrainingParamsEnsemble(TypedDict):
    method: Literal["voting", "stacking", "bayesian_average"]
    members: list[TrainingParamsModel]


class TrainingParamsSearchSpaceValue1(TypedDict):
    values: list[float | str | bool | None]


class TrainingParamsSearchSpaceValue3(TypedDict):
    log_uniform: list[Any]


class TrainingParamsSearchValidation(TypedDict):
    method: NotRequired[Literal["walk_forward", "expanding", "purged_kfold", "cpcv", "random"]]
    folds: NotRequired[int]
    test_folds: NotRequired[int]
    train_dates: NotRequired[int | None]
    test_dates: NotRequired[int | None]
    purge: NotRequired[int | None]
    embargo: NotRequired[int | None]


class TrainingParamsSearch(TypedDict):
    method: NotRequired[Literal["tpe", "random", "grid"]]
    trials: NotRequired[int]
    space: dict[str, TrainingParamsSearchSpaceValue1 | BacktestParamsParametersValue5 | TrainingParamsSearchSpaceValue3 | BacktestParamsParametersValue7]
    objective: NotRequired[Literal["rmse", "mae", "r2", "ic", "rank_ic", "icir", "log_loss", "accuracy", "auc", "f1"]]
    pruner: NotRequired[Literal["median", "none"]]
    nested: NotRequired[bool]
    validation: NotRequired[TrainingParamsSearchValidation]
    seed: NotRequired[int]


class TrainingParamsValidation(TypedDict):
    method: NotRequired[Literal["walk_forward", "expanding", "purged_kfold", "cpcv", "random"]]
    folds: NotRequired[int]
    test_folds: NotRequired[int]
    train_dates: NotRequired[int | None]
    test_dates: NotRequired[int | None]
    purge: NotRequired[int | None]
    embargo: NotRequired[int | None]
    holdout: NotRequired[float | None]


class TrainingParamsOutput(TypedDict):
    importance: NotRequired[bool]
    permutation: NotRequired[bool]
    curves: NotRequired[bool]
    plots: NotRequired[bool]
    leakage_check: NotRequired[bool]


class TrainingParamsTracking(TypedDict):
    experiment: NotRequired[str]
    run_name: NotRequired[str]


class TrainingParams(TypedDict):
    data: NotRequired[BacktestParamsData | None]
    features: NotRequired[list[TrainingParamsFeaturesItem] | None]
    target: NotRequired[TrainingParamsTarget | None]
    table: NotRequired[TrainingParamsTable | None]
    preprocess: NotRequired[TrainingParamsPreprocess]
    model: NotRequired[TrainingParamsModel | None]
    ensemble: NotRequired[TrainingParamsEnsemble | None]
    search: NotRequired[TrainingParamsSearch | None]
    validation: NotRequired[TrainingParamsValidation]
    seed: NotRequired[int]
    output: NotRequired[TrainingParamsOutput]
    tracking: NotRequired[TrainingParamsTracking | None]


class JobSpecTraining(TypedDict):
    kind: Literal["training"]
    params: TrainingParams
    name: NotRequired[str]
    resources: NotRequired[Resources]
    parallelism: NotRequired[JobSpecBacktestParallelism]
    placement: NotRequired[JobSpecBacktestPlacement]
    retry: NotRequired[JobSpecBacktestRetry]
    timeout_s: NotRequired[int]
    queue_timeout_s: NotRequired[int]
    deadline_at: NotRequired[str | None]
    priority: NotRequired[Literal["low", "normal", "high", "urgent"]]
    budget_usd: NotRequired[float]
    cache: NotRequired[bool]
    strict: NotRequired[bool]
    labels: NotRequired[dict[str, str]]
    webhook: NotRequired[JobSpecBacktestWebhook]


class CustomParams(TypedDict):
    image: str
    command: list[str]
    env: NotRequired[dict[str, str]]
    secrets: NotRequired[list[str]]
    registry: NotRequired[str | None]
    outputs: NotRequired[list[str]]


class JobSpecCustom(TypedDict):
    kind: Literal["custom"]
    params: CustomParams
    name: NotRequired[str]
    resources: NotRequired[Resources]
    parallelism: NotRequired[JobSpecBacktestParallelism]
    placement: NotRequired[JobSpecBacktestPlacement]
    retry: NotRequired[JobSpecBacktestRetry]
    timeout_s: NotRequired[int]
    queue_timeout_s: NotRequired[int]
    deadline_at: NotRequired[str | None]
    priority: NotRequired[Literal["low", "normal", "high", "urgent"]]
    budget_usd: NotRequired[float]
    cache: NotRequired[bool]
    strict: NotRequired[bool]
    labels: NotRequired[dict[str, str]]
    webhook: NotRequired[JobSpecBacktestWebhook]


JobSpec: TypeAlias = JobSpecBacktest | JobSpecTraining | JobSpecCustom


class LogLine(TypedDict):
    shard: int
    attempt: int
    number: int
    at: str
    stream: Literal["stdout", "stderr", "runner"]
    text: str


class Point(TypedDict):
    point: int
    shard: int
    objective: float | None
    parameters: dict[str, Any]
    metrics: dict[str, Any]


class SeriesSeries(TypedDict):
    date: list[str]
    equity: NotRequired[list[float | None]]
    drawdown: NotRequired[list[float | None]]
    position: NotRequired[list[float | None]]
    price: NotRequired[list[float | None]]
    hold: NotRequired[list[float | None]]


class SeriesLeftOutItem(TypedDict):
    column: Literal["equity", "drawdown", "position", "price", "hold"]
    reason: str
    text: str


class Series(TypedDict):
    rank: int
    symbol: str | None
    symbols: list[str]
    shared: bool
    cash: float | None
    rows: int
    sampled: bool
    series: SeriesSeries
    left_out: list[SeriesLeftOutItem]


Trade = TypedDict(
    "Trade",
    {
        "rank": int,
        "symbol": str,
        "entry_date": str,
        "exit_date": str | None,
        "entry_price": float | None,
        "exit_price": float | None,
        "units": float | None,
        "fees": float | None,
        "pnl": float | None,
        "return": float | None,
        "bars": int | None,
        "exit_reason": str | None,
        "open": bool,
    },
)
