"""Everything Twinset does, without a screen: catalogue, train, evaluate, index, deploy, recommend."""
