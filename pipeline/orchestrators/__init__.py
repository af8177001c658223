"""What runs the pipeline: this machine, Airflow, Kubeflow, Vertex AI."""
