"""The laws of the house: imports run one way, files and functions stay short, importing is light, all data ships."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# A module may import from its own layer and from those above it in this list. A new file of `substrate/` goes into one
# of them; "nodes" stands for the package with all its files.
LAYERS = [
    ["errors", "units", "waves", "noise", "datafiles", "memory", "distributions"],
    ["record"],
    ["network", "nodes", "activations", "losses", "waveforms", "noisy", "probe", "filters", "laying", "rings"],
    ["media", "meshes"],
    [
        "plan",
        "nonlinear_plan",
        "clusters",
        "nonlinear_clusters",
        "fluctuations",
        "circuits",
        "compile_reciprocal",
        "locality",
        "compile",
        "line_probes",
        "stacking",
    ],
    ["backends"],
    ["simulation", "traces", "passage", "links", "emission", "detection", "probing", "reductions", "runaway"],
    ["frequency", "tdr"],
    ["learning"],
    ["validation"],
    ["config", "netfile", "circuit_run"],
    ["studies"],
    ["plot", "plots", "export"],
    ["report"],
    ["cli", "__main__"],
]
MAY_USE_DEVICES = {"cli", "__main__"}
DEVICES_MAY_IMPORT = {"numpy", "scipy", "devices"} | sys.stdlib_module_names
DEVICES_ALSO = {"devices.card_schema": {"pydantic"}}  # cards are input files, checked the way input files are
# (importer, imported) → why this one import inside a function may close a cycle
LAZY_CYCLES = {
    (
        "substrate.noise",
        "substrate.noise.kernels",
    ): "the compiled twin is loaded on first use and takes its constants here"
}

LONGEST_FILE = 399
LONGEST_FUNCTION = 44  # lines from `def` to the end, without the docstring
LONG_FILES: dict[str, str] = {}  # path → why it may be longer
LONG_FUNCTIONS: dict[str, str] = {}  # "path:function" → why it may be longer

HEAVY = {"cupy", "matplotlib", "dask", "numba", "torch", "pydantic", "typer", "rich", "scipy.signal"}
IMPORT_SECONDS = 0.5
UNFINISHED = ["TO" + "DO", "FIX" + "ME", "XX" + "X"]
NOT_SHIPPED = {"data/golden"}  # for tests only


@dataclass(frozen=True)
class Module:
    """A Python file of the two packages: dotted name, path, syntax tree."""

    name: str
    path: Path
    tree: ast.Module

    @property
    def where(self) -> str:
        return self.path.relative_to(ROOT).as_posix()


@cache
def modules() -> dict[str, Module]:
    found = {}
    for path in sorted([*ROOT.glob("substrate/**/*.py"), *ROOT.glob("devices/**/*.py")]):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if "_data" in parts:
            continue
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = Module(name, path, ast.parse(path.read_text(encoding="utf-8"), path.name))
    return found


def imports(module: Module) -> Iterator[tuple[str, int]]:
    """Dotted names this module imports and their lines, also inside functions; submodules where they are meant."""
    package = module.name.split(".")
    if module.path.name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            source = ".".join(filter(None, [base, node.module]))
            for alias in node.names:
                inner = f"{source}.{alias.name}"
                yield (inner if inner in modules() else source, node.lineno)


def layer(name: str) -> int | None:
    """Index of the layer of a module of `substrate`; None if no layer names it."""
    part = name.split(".")[1]
    return next((index for index, names in enumerate(LAYERS) if part in names), None)


def members(package: str) -> list[Module]:
    """Modules of a package but its root, whose duty is to gather public names from all layers."""
    return [module for name, module in modules().items() if name.startswith(package + ".")]


def test_there_is_a_house() -> None:
    assert len(members("substrate")) > 5


def test_every_module_has_a_layer() -> None:
    strangers = [module.where for module in members("substrate") if layer(module.name) is None]
    assert not strangers, (
        f"{strangers}: in no layer; add them to LAYERS in tests/test_house.py and docs/architecture.md"
    )


def test_imports_run_one_way() -> None:
    wrong = []
    for module in members("substrate"):
        own = layer(module.name)
        for target, line in imports(module):
            if target == "substrate":
                wrong.append(
                    f"{module.where}:{line} imports the package root, which imports everything; name the module"
                )
            elif target.startswith("substrate."):
                other = layer(target)
                if own is not None and other is not None and other > own:
                    wrong.append(f"{module.where}:{line} imports {target} of a later layer")
    assert not wrong, "\n".join(wrong)


def test_no_cycles() -> None:
    edges = {
        name: {target for target, _ in imports(module) if target in modules() and target != name}
        for name, module in modules().items()
    }
    for importer, imported in LAZY_CYCLES:
        assert imported in edges[importer], f"{importer} no longer imports {imported}: drop it from LAZY_CYCLES"
        edges[importer].remove(imported)
    done: set[str] = set()
    trail: list[str] = []

    def visit(name: str) -> None:
        assert name not in trail, "cycle of imports: " + " → ".join([*trail[trail.index(name) :], name])
        if name in done:
            return
        trail.append(name)
        for target in sorted(edges[name]):
            visit(target)
        done.add(trail.pop())

    for name in sorted(edges):
        visit(name)


def test_devices_know_materials_only() -> None:
    wrong = [
        f"{module.where}:{line} imports {target}; devices import NumPy, SciPy and the standard library"
        for name, module in modules().items()
        if name.split(".")[0] == "devices"
        for target, line in imports(module)
        if target.split(".")[0] not in DEVICES_MAY_IMPORT | DEVICES_ALSO.get(name, set())
    ]
    assert not wrong, "\n".join(wrong)


def test_substrate_meets_devices_in_the_command_line_only() -> None:
    wrong = [
        f"{module.where}:{line} imports {target}; hand devices in as values instead"
        for name, module in modules().items()
        if name.split(".")[0] == "substrate" and name.partition(".")[2].split(".")[0] not in MAY_USE_DEVICES
        for target, line in imports(module)
        if target.split(".")[0] == "devices"
    ]
    assert not wrong, "\n".join(wrong)


@cache
def python_files() -> list[Path]:
    folders = ["substrate", "devices", "tests", "benchmarks", "examples"]
    return sorted(path for folder in folders for path in ROOT.glob(f"{folder}/**/*.py") if "_data" not in path.parts)


def test_files_are_short() -> None:
    lengths = {path.relative_to(ROOT).as_posix(): len(path.read_text().splitlines()) for path in python_files()}
    long = {name: lines for name, lines in lengths.items() if lines > LONGEST_FILE and name not in LONG_FILES}
    assert not long, f"over {LONGEST_FILE} lines: {long}; split by duty"
    stale = [name for name in LONG_FILES if lengths.get(name, 0) <= LONGEST_FILE]
    assert not stale, f"{stale} need no exception any more"


def function_lengths() -> Iterator[tuple[str, int]]:
    for path in python_files():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                doc = node.body[0] if ast.get_docstring(node) is not None else None
                doc_lines = (doc.end_lineno or doc.lineno) - doc.lineno + 1 if doc else 0
                lines = (node.end_lineno or node.lineno) - node.lineno + 1 - doc_lines
                yield f"{path.relative_to(ROOT).as_posix()}:{node.name}", lines


def test_functions_are_short() -> None:
    long = {name: n for name, n in function_lengths() if n > LONGEST_FUNCTION and name not in LONG_FUNCTIONS}
    assert not long, f"over {LONGEST_FUNCTION} lines: {long}; give each step a name"
    stale = set(LONG_FUNCTIONS) - {name for name, n in function_lengths() if n > LONGEST_FUNCTION}
    assert not stale, f"{stale} need no exception any more"


def test_every_file_says_its_duty() -> None:
    silent = [
        path.relative_to(ROOT).as_posix()
        for path in python_files()
        if path.stat().st_size and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert not silent, f"{silent}: the first line says the one duty of the file"


def test_nothing_is_left_unfinished() -> None:
    files = [*python_files(), *ROOT.glob("substrate/**/*.cu"), *ROOT.glob("examples/**/*.toml")]
    left = [
        f"{path.relative_to(ROOT).as_posix()}:{number}"
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if any(word in line for word in UNFINISHED)
    ]
    assert not left, f"{left}: finish it, or file an issue and say nothing here"


@pytest.mark.skipif(not (ROOT / "substrate" / "__init__.py").exists(), reason="the root package is not there yet")
def test_importing_is_light() -> None:
    script = (
        "import sys, time; start = time.process_time(); import substrate; "  # what other jobs take does not count
        "print(time.process_time() - start, *sorted(sys.modules))"
    )
    seconds = []
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
        time, *loaded = done.stdout.split()
        heavy = HEAVY & set(loaded)
        assert not heavy, f"import substrate loads {sorted(heavy)}; import them where they are used"
        seconds.append(float(time))
    assert min(seconds) < IMPORT_SECONDS


def test_all_data_ships() -> None:
    """Every folder of `data/` that holds files is copied into the wheel (`pyproject.toml`, force-include)."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    shipped = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    filled = {
        folder.relative_to(ROOT).as_posix()
        for folder in (ROOT / "data").iterdir()
        if folder.is_dir() and any(path.is_file() for path in folder.rglob("*"))
    }
    assert not (missing := filled - set(shipped) - NOT_SHIPPED), f"add {missing} to force-include in pyproject.toml"
    assert not (gone := [source for source in shipped if not (ROOT / source).exists()]), f"{gone} no longer exist"


def test_every_data_file_is_explained() -> None:
    """`data/README.md` names each file with its source and licence."""
    readme = (ROOT / "data" / "README.md").read_text(encoding="utf-8")
    files = [path for path in (ROOT / "data").rglob("*") if path.is_file() and not path.name.endswith(".md")]
    unnamed = [path.relative_to(ROOT).as_posix() for path in files if path.name not in readme]
    assert not unnamed, f"data/README.md says nothing about {unnamed}: source, licence, shape, unit"


def test_the_layers_are_those_of_the_document() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    chain = text.split("## Which way imports run")[1].split("##")[0]
    positions = [chain.find(names[0]) for names in LAYERS]
    assert -1 not in positions, "docs/architecture.md does not name every layer"
    assert all(before < after for before, after in pairwise(positions)), "docs/architecture.md has another order"
