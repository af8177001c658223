"""Build, cache and errors of the native scan; test_scan.py tests its results."""

import numpy as np
import pytest
import tensorflow as tf

from mamba_model import native_scan, selective_scan


@pytest.fixture
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "tf-mamba"


def test_without_a_compiler_it_says_what_to_install(monkeypatch, cache):
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(native_scan.NativeScanError, match=r"needs a C\+\+ compiler.*install one"):
        native_scan.build()


@pytest.mark.slow
@pytest.mark.needs_compiler
def test_it_is_built_once_and_kept_whole(cache):
    library = native_scan.build()
    assert list(cache.iterdir()) == [library]  # and no scratch beside it
    built = library.stat().st_mtime_ns
    assert native_scan.build() == library
    assert library.stat().st_mtime_ns == built


@pytest.mark.needs_compiler
def test_a_build_that_fails_shows_the_compilers_words_and_keeps_nothing(
    monkeypatch, tmp_path, cache
):
    folder = tmp_path / "native"
    folder.mkdir()
    (folder / "xla_calls.cc").write_text("this is no C++;")
    monkeypatch.setattr(native_scan, "FOLDER", folder)
    with pytest.raises(native_scan.NativeScanError, match=r"(?s)did not compile.*xla_calls\.cc:1"):
        native_scan.build()
    assert list(cache.iterdir()) == []


def test_a_damaged_library_is_named(monkeypatch, tmp_path):
    library = tmp_path / "native_scan.so"
    library.write_bytes(b"half a library")
    monkeypatch.setattr(native_scan, "build", lambda: library)
    native_scan.load.cache_clear()
    with pytest.raises(native_scan.NativeScanError, match=f"{library} does not load.*delete it"):
        native_scan.load()


@pytest.mark.needs_compiler
def test_shapes_that_are_not_known_are_refused():
    @tf.function(autograph=False, input_signature=[tf.TensorSpec((None, 9, 3))])
    def scan(u):
        with native_scan.native_scan():
            B = tf.zeros((u.shape[0] or 1, 9, 2))
            return selective_scan(u, tf.abs(u), -tf.ones((3, 2)), B, B, tf.ones(3))

    with pytest.raises(ValueError, match=r"one known shape, got \(None, 9, 3\): batch with"):
        scan.get_concrete_function()


@pytest.mark.needs_compiler
def test_outside_its_context_and_in_float64_the_plain_loops_run():
    u = tf.constant(np.linspace(0, 1, 6).reshape(1, 3, 2))
    B = tf.ones((1, 3, 1), tf.float64)
    arguments = (u, u, -tf.ones((2, 1), tf.float64), B, B, tf.ones(2, tf.float64))
    expected = selective_scan(*arguments)
    with native_scan.native_scan():
        assert native_scan.in_use(tf.float32)
        np.testing.assert_array_equal(selective_scan(*arguments), expected)
    assert not native_scan.in_use(tf.float32)
