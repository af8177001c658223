"""setup.py and the locks under requirements/: what a user or a Beam worker gets."""

import re
import subprocess
import sys
import tarfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
LOCKS = [ROOT / "requirements" / f"{name}.txt" for name in ("current", "older")]


def pins(lock):
    """[(name, version, marker or "")] of each requirement that a lock pins."""
    return re.findall(r"^([a-z0-9-]+)==(\S+)(?: ; (.*?))? \\$", lock.read_text(), re.MULTILINE)


def test_sdist_holds_every_module_and_schema(tmp_path):
    subprocess.run(
        [sys.executable, "setup.py", "egg_info", "-e", tmp_path, "sdist", "-d", tmp_path],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    with tarfile.open(next(tmp_path.glob("*.tar.gz"))) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    packages = ("components", "data", "mamba_model", "pipeline", "serving")
    expected = [path for name in packages for path in (ROOT / name).rglob("*.py")]
    expected += (ROOT / "data").glob("schema/*.pbtxt")
    assert {str(path.relative_to(ROOT)) for path in expected} - held == set()


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_a_lock_pins_every_package_by_hash_and_names_no_index(lock):
    text = lock.read_text()
    requirements = re.findall(r"^[a-z0-9]\S*.*(?:\n    --hash=.*)*", text, re.MULTILINE)
    assert len(requirements) == len(pins(lock)) > 100
    assert [r for r in requirements if "--hash=sha256:" not in r] == []
    assert "://" not in text


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_a_lock_is_within_the_ranges_of_setup_py(lock, python):
    there = {"python_version": python, "python_full_version": f"{python}.0", "extra": "dev"}
    versions = {
        name: version
        for name, version, marker in pins(lock)
        if not marker or Marker(marker).evaluate(there)
    }
    wanted = [Requirement(text) for text in metadata.requires("tf-mamba") or []]
    wanted = [r for r in wanted if not r.marker or r.marker.evaluate(there)]
    assert len(wanted) > 10
    outside = [
        f"{r} != {versions.get(r.name, 'none')}"
        for r in wanted
        if r.name not in versions or versions[r.name] not in r.specifier
    ]
    assert outside == []


def test_the_peers_are_pinned_each_and_stay_out_of_the_locks():
    lines = (ROOT / "requirements" / "peers.txt").read_text().splitlines()
    peers = [Requirement(line) for line in lines if line and not line.startswith("#")]
    loose = [str(peer) for peer in peers if not re.fullmatch(r"==[^*,]+", str(peer.specifier))]
    assert loose == []
    locked = {name for lock in LOCKS for name, _, _ in pins(lock)}
    assert locked & {"torch", "transformers", "mambapy", "pyppmd"} == set()
    assert {"torch", "transformers", "mambapy", "pyppmd"} <= {peer.name for peer in peers}
