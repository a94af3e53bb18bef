"""MLflow: runs, models, versions and aliases."""
