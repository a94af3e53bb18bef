"""What MLflow runs to make the model ("models from code"); a copy of this file is in every registered version."""

from __future__ import annotations

from mlflow.models import set_model

from backend.registry.predictor import TwinsetModel

set_model(TwinsetModel())
