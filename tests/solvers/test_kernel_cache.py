"""Compiled code is forgotten exactly when a source of it changed."""

from combgrad.solvers.kernels import forget_stale_code


def test_a_changed_file_drops_the_compiled_code_of_all(tmp_path):
    (tmp_path / "a.py").write_text("one")
    (tmp_path / "b.py").write_text("two")
    cache = tmp_path / "__pycache__"
    cache.mkdir()
    old = [cache / "a.f-1.py311.nbi", cache / "a.f-1.py311.1.nbc"]
    for path in old:
        path.write_bytes(b"compiled")
    (cache / "a.cpython-311.pyc").write_bytes(b"bytecode")
    assert forget_stale_code(tmp_path)
    assert not any(path.exists() for path in old)
    assert (cache / "a.cpython-311.pyc").exists()
    for path in old:
        path.write_bytes(b"compiled anew")
    assert not forget_stale_code(tmp_path)
    assert all(path.exists() for path in old)
    (tmp_path / "b.py").write_text("three")
    assert forget_stale_code(tmp_path)
    assert not any(path.exists() for path in old)
