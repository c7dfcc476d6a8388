"""Registry: classifiers as models of MLflow, kept in its Model Registry and served by it."""
