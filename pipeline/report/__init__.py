"""The run's page, the model card and drawings of lineage."""
