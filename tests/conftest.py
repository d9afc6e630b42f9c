"""What all tests share: every test that takes `backend` runs on each backend that can run here."""

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import settings

from substrate.backends import MODULES
from tests.tools.emulated_gpu import compiler

ROOT = Path(__file__).resolve().parent.parent


def _cache_of_compiled_loops() -> str:
    """A folder per state of the sources: Numba does not see that a function called from another file has changed."""
    sources = sorted(path for path in (ROOT / "substrate").rglob("*.py") if "numba" in path.read_text(encoding="utf-8"))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    return str(ROOT / ".numba_cache" / digest[:16])


os.environ.setdefault("NUMBA_CACHE_DIR", _cache_of_compiled_loops())

REQUIRE_GPU = os.environ.get("SUBSTRATE_REQUIRE_GPU") == "1"

if compiler():  # the GPU's own host code and kernels, on this CPU: one more backend for every test
    MODULES["emulated"] = "tests.tools.emulated_gpu"

# The first example of a property may compile a kernel, so a deadline would measure the compiler. In CI the examples
# are the same every time: a red run can be repeated.
settings.register_profile("house", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("house")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "backend" not in metafunc.fixturenames:
        return
    from substrate.backends import available

    names = list(available())
    if REQUIRE_GPU and "gpu" not in names:
        names.append("gpu")
    marked = [pytest.param(name, marks=pytest.mark.gpu) if name == "gpu" else name for name in names]
    metafunc.parametrize("backend", marked, indirect=True)


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> str:
    """Name of a backend; SUBSTRATE_REQUIRE_GPU=1 makes a missing GPU a failure instead of a test that is not there."""
    from substrate.backends import available

    name: str = request.param
    if name not in available():
        pytest.fail(f"SUBSTRATE_REQUIRE_GPU=1, but backend {name!r} cannot run here: no CuPy, or no CUDA device")
    return name
