"""The kernels under the address and undefined-behaviour sanitizers: what a device would not tell, a CPU tells."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tools.emulated_gpu import compiler

ROOT = Path(__file__).resolve().parent.parent.parent


def libraries():
    """The sanitizers' own libraries, where the compiler has them."""
    if not compiler():
        return []
    names = ("libasan.so", "libubsan.so")
    found = [subprocess.run([str(compiler()), f"-print-file-name={n}"], capture_output=True, text=True) for n in names]
    return [place for done in found if Path(place := done.stdout.strip()).is_absolute()]


pytestmark = pytest.mark.skipif(len(libraries()) < 2, reason="no g++ with sanitizers")

OVERRUN = """
import numpy as np
from tests.tools.emulated_gpu import EmulatedDevice
device = EmulatedDevice(np.dtype("float64"))
count = {count}
device.launch("square_sums", 4, device.xp.zeros(1000), count, device.xp.zeros(3))()
print("no complaint")
"""


def sanitized(*arguments):
    """A Python run with sanitized kernels."""
    environment = {
        **os.environ,
        "SUBSTRATE_SANITIZE": "1",
        "ASAN_OPTIONS": "detect_leaks=0:detect_stack_use_after_return=0",  # fibers change stacks
        "LD_PRELOAD": " ".join(libraries()),
    }
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True)


def test_an_overrun_is_told():
    """A negative control, and its own control: the same launch within its array is quiet."""
    wrong, right = (sanitized("-c", OVERRUN.format(count=count)) for count in (1001, 1000))
    assert wrong.returncode != 0
    assert "heap-buffer-overflow" in wrong.stderr
    assert right.returncode == 0, right.stderr
    assert "no complaint" in right.stdout


@pytest.mark.parametrize(
    "chosen",
    [
        pytest.param(
            ["tests/gpu/test_kernels.py", "-k", "double and (real-batch or warm) or layers and float64"], id="few"
        ),
        pytest.param(["tests/core", "tests/learning", "tests/gpu/test_kernels.py", "tests/gpu/test_laws.py", "-k",
                      "emulated or kernels or card"], id="all", marks=pytest.mark.long),
    ],
)  # fmt: skip
def test_kernels_stay_within_their_arrays(chosen):
    done = sanitized("-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *chosen)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert " passed" in done.stdout
