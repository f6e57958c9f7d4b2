"""XGBoost's own form of rows on the disk: its pages lie there too, and are read again in every round."""

from typing import Any

from berth_training.data.disk import Rows
from berth_training.data.frame import Floats


def external_matrix(x: Rows, y: Floats, max_bin: int, threads: int, like: Any) -> Any:
    """Returns the rows quantized, page by page beside their file; `like` are the rows that gave the bins."""
    import xgboost

    class Batches(xgboost.DataIter):
        """Hands the library one block of rows after the other; its errors come out of the library's call."""

        def __init__(self) -> None:
            self.parts = x.parts()
            super().__init__(cache_prefix=str(x.path.with_suffix(".pages")))

        def next(self, input_data: Any) -> bool:
            place, values = next(self.parts, (None, None))
            if place is None:
                return False
            input_data(data=values, label=y[place])
            return True

        def reset(self) -> None:
            self.parts = x.parts()

    return xgboost.ExtMemQuantileDMatrix(Batches(), max_bin=max_bin, nthread=threads, ref=like)
