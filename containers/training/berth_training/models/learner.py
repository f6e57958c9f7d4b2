"""What a spec trains: one model, or an ensemble, behind fit and predict."""

from dataclasses import dataclass
from typing import Any, Protocol

from berth_training.data.disk import Rows
from berth_training.data.frame import Floats, Index, Matrix
from berth_training.kept import Kept
from berth_training.models.fit import Job, fit_model
from berth_training.spec.types import Params, Spec


class Predictor(Protocol):
    """Anything that was fitted."""

    def predict(self, x: Matrix) -> Floats: ...


@dataclass(frozen=True)
class Learner:
    """Fits what the spec asks for; `params` of a trial come over those of the model."""

    spec: Spec
    job: Job

    def fit(self, params: Params, x: Matrix, y: Floats, date: Index, kept: Kept) -> Any:
        if self.spec.ensemble is not None:
            from berth_training.models.ensemble import fit_ensemble

            assert not isinstance(x, Rows)  # memory.only_in_memory
            return fit_ensemble(self.job, self.spec.ensemble, x, y, date, kept)
        assert self.spec.model is not None  # parse_spec
        return fit_model(self.job, self.spec.model, params, x, y, date, kept)
