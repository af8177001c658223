# The image in which Kubeflow Pipelines and Vertex AI run the stages of a pipeline, with the
# current dependency set; see docs/kubeflow.md.
#
#   docker build --tag REGISTRY/tf-mamba:VERSION .
FROM python:3.13-slim-trixie

# For the scan in C++ (training.scan=native), which is compiled on first use.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/*

# Kubeflow's launcher runs as this user too, and puts artifacts into /gcs, /minio or /s3.
RUN useradd --create-home --uid 10001 tf_mamba \
    && install --directory --owner tf_mamba /gcs /minio /s3 /tmp/kfp_outputs

# The lock as it stands, as setup_env.py installs it: a package that has no wheel is built by
# the lock's own setuptools and wheel. A layer of its own, which a change of code leaves alone.
ENV PATH=/opt/venv/bin:$PATH
COPY requirements/current.txt /opt/tf_mamba/requirements/
WORKDIR /opt/tf_mamba
RUN python3 -m venv /opt/venv \
    && sed -nE -e ':join' -e '/\\$/{N;s/\\\n//;b join' -e '}' -e '/^(setuptools|wheel)==/p' \
       requirements/current.txt > /tmp/build-tools.txt \
    && pip install --no-cache-dir --no-deps --require-hashes --requirement /tmp/build-tools.txt \
    && pip install --no-cache-dir --no-deps --no-build-isolation --require-hashes \
       --requirement requirements/current.txt \
    && rm /tmp/build-tools.txt

# Editable: Beam's remote workers install the project from these sources.
COPY . .
RUN pip install --no-cache-dir --no-deps --no-build-isolation --editable . \
    && python -m compileall -q components data mamba_model pipeline serving

USER 10001
WORKDIR /home/tf_mamba
CMD ["tf-mamba", "--help"]
