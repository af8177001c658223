# The image in which Kubeflow Pipelines and Vertex AI run the pipeline's stages, with the
# current dependency set; see docs/kubeflow.md.
#
#   docker build --tag REGISTRY/tf-mamba:VERSION .
FROM python:3.13-slim-trixie

# For the scan in C++ (training.scan=native), which is compiled on first use.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/*

# Kubeflow's launcher also runs as this user and writes artifacts to /gcs, /minio or /s3.
RUN useradd --create-home --uid 10001 tf_mamba \
    && install --directory --owner tf_mamba /gcs /minio /s3 /tmp/kfp_outputs

# Installs the lock as setup_env.py does: the lock's own setuptools and wheel build packages that
# have no wheel. A separate layer, so that a change of code does not rebuild it.
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

# Editable, because Beam's remote workers install the project from these sources.
COPY . .
RUN pip install --no-cache-dir --no-deps --no-build-isolation --editable . \
    && python -m compileall -q components data mamba_model pipeline serving

USER 10001
WORKDIR /home/tf_mamba
CMD ["tf-mamba", "--help"]
