"""Everything Twinset does, without a screen: catalogue, train, evaluate, index, deploy, recommend."""

__version__ = "1.0.0"  # the only place: the command line, bundles, MLflow, the endpoint and the pages read it here
