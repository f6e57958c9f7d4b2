"""What a user's step calculates with: on a GPU scalars, for which NumPy's functions are not compiled."""

from math import exp, floor, inf, isnan, log, nan, pi, sqrt
from typing import Any

import numpy as np

from berth_backtest.gpu.front import SIMULATED

if SIMULATED:
    # By IEEE, as on a GPU: those of math raise errors.
    numpy: Any = np
    exp, floor, isnan, log, sqrt = numpy.exp, numpy.floor, numpy.isnan, numpy.log, numpy.sqrt

__all__ = ["exp", "floor", "inf", "isnan", "log", "nan", "pi", "sqrt"]
