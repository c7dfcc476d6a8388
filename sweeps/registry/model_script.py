"""Script that MLflow keeps with a model and runs when it is loaded (models from code, so that nothing is pickled)."""

import mlflow

from sweeps.registry.served_classifier import ServedClassifier

mlflow.models.set_model(ServedClassifier())
