"""`substrate audit`: the gradients of a training file's network, in every form, in one table."""

from dataclasses import asdict, dataclass
from pathlib import Path

from substrate.cli.reporting import note, print_json, print_table
from substrate.config import build_network, load_config, load_data
from substrate.errors import ConfigError
from substrate.learning.audit import Audit, Row, Slope, audit
from substrate.learning.training import targets


@dataclass(frozen=True)
class Request:
    """What was typed after `substrate audit`."""

    file: Path
    samples: int
    beta: float
    entries: int
    overrides: list[str]
    json: bool


def run_audit(request: Request) -> None:
    """Audit the network of a training file on its first training samples; raises ConfigError and DataError."""
    if request.beta <= 0.0:
        raise ConfigError(f"--beta nudges the load and must be above 0, but it is {request.beta:g}")
    config = load_config(request.file, request.overrides)
    data = load_data(config, request.file.parent)
    x, y = data.x_train[: request.samples], targets(data.y_train[: request.samples], data.classes)
    if not request.json:
        note("waiting for the waves of every form to settle; some minutes for large networks")
    found = audit(
        build_network(config),
        x,
        y,
        dt=config.clock.dt,
        beta=request.beta,
        entries=request.entries,
        seed=config.seed,
        backend=config.training.backend,
    )
    if request.json:
        print_json(as_json(found))
        return
    about = f"{len(x)} samples, loss {found.loss:.4g}, beta {request.beta:g}"
    columns = ["form", "port", "1 - cosine", "length / exact", "error", "settled after", "residual"]
    print_table(columns, [_row(row) for row in found.rows], f"Gradients beside exact backpropagation ({about})")
    print_table(["estimate", "against", "errors", "slope", "expected"], [_slope(s) for s in found.slopes], "Slopes")
    for form, why in found.failures.items():
        note(f"{form}: {why}")
    verdict = "passed" if found.passed else "NOT passed"
    print_table(["", ""], [["audit", verdict], ["worst cosine", f"1 - {1.0 - found.worst_cosine:.2g}"]])


def as_json(found: Audit) -> dict[str, object]:
    """An audit as plain values."""
    return {
        "loss": found.loss,
        "passed": found.passed,
        "worst_cosine": found.worst_cosine,
        "rows": [asdict(row) for row in found.rows],
        "slopes": [{**asdict(slope), "slope": slope.slope} for slope in found.slopes],
        "failures": dict(found.failures),
    }


def _row(row: Row) -> list[str]:
    when = f"{row.steps} steps" if row.settled else f"NOT after {row.steps}"
    numbers = [f"{row.one_minus_cosine:.2g}", f"{row.norm_ratio:.9f}", f"{row.error:.2g}"]
    return [row.form, row.port, *numbers, when if row.steps else "each", f"{row.residual:.1g}" if row.steps else ""]


def _slope(slope: Slope) -> list[str]:
    exact = slope.slope != slope.slope
    errors = ", ".join(f"{error:.2g} at {value:g}" for value, error in zip(slope.values, slope.errors, strict=True))
    expected = "exact" if slope.expected != slope.expected else f"{slope.expected:g}"
    return [slope.name, slope.variable, errors, "exact" if exact else f"{slope.slope:.4f}", expected]
