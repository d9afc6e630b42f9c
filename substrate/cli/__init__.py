"""The command `substrate`: what can be typed; each command's work is done in its own file, imported when it is run."""

from pathlib import Path
from typing import Annotated

import typer

from substrate.cli.reporting import reported, set_debug

app = typer.Typer(
    name="substrate",
    help="Simulate wave-computing hardware that trains itself.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
devices_app = typer.Typer(help="The catalogue of device cards.", invoke_without_command=True, rich_markup_mode=None)
media_app = typer.Typer(help="The catalogue of media of lines.", invoke_without_command=True, rich_markup_mode=None)
app.add_typer(devices_app, name="devices")
app.add_typer(media_app, name="media")

RunArgument = Annotated[Path, typer.Argument(metavar="RUN.h5", help="A run file, finished or not.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


def _version(wanted: bool) -> None:
    if wanted:
        from substrate.cli.info import version

        typer.echo(f"wave-substrate {version()}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an unexpected error.")] = False,
) -> None:
    """Simulate wave-computing hardware that trains itself."""
    set_debug(debug)


@app.command()
def train(
    file: Annotated[Path | None, typer.Argument(metavar="FILE.toml", help="What to train; see examples/.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="RUN.h5", help="The run file [default: runs/FILE.h5].")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option("--resume", metavar="RUN.h5", help="Continue an unfinished run, bit for bit.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run file if there is one.")] = False,
    backend: Annotated[
        str | None, typer.Option("--backend", metavar="NAME", help="Instead of training.backend of the file.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", "-s", metavar="KEY=VALUE", help="Instead of the file's: training.epochs=5, line.loss='0.3 dB'."
        ),
    ] = None,
    json_: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar and no table.")] = False,
) -> None:
    """Train a wave substrate as FILE.toml says, and write everything it does to a run file."""
    with reported():
        from substrate.cli.jobs import Request
        from substrate.cli.train import run_train

        overrides = [*(set_ or []), *([f"training.backend={backend}"] if backend else [])]
        run_train(Request(file, out, resume, overwrite, overrides, json_, quiet))


@app.command()
def audit(
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", help="A training file; its network is audited.")],
    samples: Annotated[
        int, typer.Option("--samples", metavar="N", min=1, help="Of the training set, the first N.")
    ] = 8,
    beta: Annotated[float, typer.Option("--beta", help="How strongly the load nudges transformers.")] = 0.01,
    entries: Annotated[int, typer.Option("--entries", metavar="N", min=1, help="Finite differences per port.")] = 4,
    set_: Annotated[
        list[str] | None, typer.Option("--set", "-s", metavar="KEY=VALUE", help="Instead of the file's.")
    ] = None,
    json_: Json = False,
) -> None:
    """Compare what the ports of FILE.toml's network hear, in every form, with exact backprop and finite differences."""
    with reported():
        from substrate.cli.audit import Request, run_audit

        run_audit(Request(file, samples, beta, entries, set_ or [], json_))


@app.command()
def simulate(
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", help="A circuit; see examples/ and docs/circuits.md.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="RUN.h5", help="The run file [default: runs/FILE.h5].")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run file if there is one.")] = False,
    backend: Annotated[
        str | None, typer.Option("--backend", metavar="NAME", help="Instead of simulation.backend of the file.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", "-s", metavar="KEY=VALUE", help="Instead of the file's: nodes.load.resistance='75 ohm'."),
    ] = None,
    json_: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar and no table.")] = False,
) -> None:
    """Simulate the circuit of FILE.toml, write what its probes see to a run file, and print a table of it."""
    with reported():
        from substrate.cli.simulate import Request, run_simulate

        overrides = [*(set_ or []), *([f"simulation.backend={backend}"] if backend else [])]
        run_simulate(Request(file, out, overwrite, overrides, json_, quiet))


@app.command()
def sweep(
    file: Annotated[Path, typer.Argument(metavar="STUDY.toml", help="A study; see examples/ and docs/studies.md.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="Folder of the study [default: runs/STUDY].")
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=0, help="Local processes; 0: one per core.")] = 0,
    scheduler: Annotated[
        str, typer.Option("--scheduler", metavar="ADDRESS", help="A Dask cluster instead of local processes.")
    ] = "",
    resume: Annotated[bool, typer.Option("--resume", help="Do what is missing or has failed.")] = False,
    batch: Annotated[
        bool, typer.Option("--batch/--no-batch", help="Runs of circuits may share a simulation; or each has its own.")
    ] = True,
    set_: Annotated[
        list[str] | None, typer.Option("--set", "-s", metavar="KEY=VALUE", help="Instead of the file's: repeats=5.")
    ] = None,
    json_: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar and no table.")] = False,
) -> None:
    """Run a study: one run file per run, and one table of all of them."""
    with reported():
        from substrate.cli.sweep import Request, run_sweep

        run_sweep(Request(file, out, jobs, scheduler, resume, batch, set_ or [], json_, quiet))


@app.command()
def report(
    path: Annotated[Path, typer.Argument(metavar="RUN.h5|DIR", help="A run file, or the folder of a study.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="PAGE.html", help="Where to [default: beside it].")
    ] = None,
) -> None:
    """Write one HTML file that says what was run, what came out, and how to do it again."""
    with reported():
        from substrate.report import write_report

        typer.echo(write_report(path, out))


@app.command()
def plot(
    run: RunArgument,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="Folder of the figures [default: beside RUN.h5].")
    ] = None,
) -> None:
    """Draw the figures of a run and print their paths."""
    with reported():
        from substrate.plot import plot_run

        for path in plot_run(run, run.with_suffix("") if out is None else out):
            typer.echo(path)


@app.command()
def export(
    run: RunArgument,
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="traces.csv, .npz, .nc (NetCDF), or pwl.")],
    devices: Annotated[bool, typer.Option("--devices", help="Every device against time [default].")] = False,
    metrics: Annotated[bool, typer.Option("--metrics", help="Accuracy and loss of every epoch.")] = False,
    batches: Annotated[bool, typer.Option("--batches", help="Accuracy and loss of every batch.")] = False,
    ledger: Annotated[bool, typer.Option("--ledger", help="The energy books.")] = False,
    probes: Annotated[bool, typer.Option("--probes", help="The traces of a circuit [default of its runs].")] = False,
    port: Annotated[
        list[str] | None,
        typer.Option("--port", metavar="NAME", help="Only these ports or probes: w1.matrix, '*.bias', 'load.*'."),
    ] = None,
    every: Annotated[int, typer.Option("--every", metavar="N", min=1, help="Only every N-th sample.")] = 1,
    cells: Annotated[
        list[str] | None,
        typer.Option("--cells", metavar="CELL", help="Cells of --to pwl, a folder of files: 'w1.matrix[0,3]'."),
    ] = None,
    column: Annotated[str, typer.Option("--column", metavar="NAME", help="What --to pwl writes of them.")] = "value",
) -> None:
    """Write traces of a run to CSV, NumPy's .npz, NetCDF, or PWL sources of a circuit simulator."""
    with reported():
        from substrate.cli.exporting import run_export

        chosen = {"devices": devices, "metrics": metrics, "batches": batches, "ledger": ledger, "probes": probes}
        run_export(run, to, [name for name, wanted in chosen.items() if wanted], port or [], every, cells or [], column)


@app.command()
def info(run: RunArgument, json_: Json = False) -> None:
    """Say what a run file holds: what was run, how far it came, what it found, and its tables."""
    with reported():
        from substrate.cli.info import run_info

        run_info(run, json_)


@app.command()
def validate(
    only: Annotated[
        str | None, typer.Option("--only", metavar="NAME", help="One case (V16), or those whose words hold NAME.")
    ] = None,
    backend: Annotated[str, typer.Option("--backend", metavar="NAME", help="Where to run them.")] = "cpu",
    markdown: Annotated[
        Path | None, typer.Option("--markdown", metavar="FILE.md", help="Also write the page of the documentation.")
    ] = None,
    json_: Json = False,
) -> None:
    """Run every problem with a known answer and compare; exit code 1 when one fails."""
    with reported():
        from substrate.cli.validate import run_validate

        run_validate(backend, only, json_, markdown)


@app.command()
def backends(json_: Json = False) -> None:
    """List the backends that can run on this machine."""
    with reported():
        from substrate.cli.info import run_backends

        run_backends(json_)


@devices_app.callback()
def devices(
    context: typer.Context,
    unverified: Annotated[
        bool, typer.Option("--unverified", help="Only cards with numbers nobody has read in a source yet.")
    ] = False,
    page: Annotated[
        Path | None, typer.Option("--markdown", metavar="PAGE.md", help="Renew the table of cards in a page.")
    ] = None,
    json_: Json = False,
) -> None:
    """List the catalogue of device cards; `substrate devices show NAME` prints one."""
    if context.invoked_subcommand is None:
        with reported():
            from substrate.cli.catalogue import run_list

            run_list("device", unverified, json_, page)


@devices_app.command("show")
def devices_show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A card's name, or the path of a card file.")],
    figure: Annotated[
        Path | None, typer.Option("--figure", metavar="FILE.png", help="Draw what pulses or a drive do to a cell.")
    ] = None,
    json_: Json = False,
) -> None:
    """Print one card: every number with its unit, source and how far it is to be trusted."""
    with reported():
        from substrate.cli.catalogue import run_show

        run_show(name, "device", json_, figure)


@media_app.callback()
def media(
    context: typer.Context,
    unverified: Annotated[
        bool, typer.Option("--unverified", help="Only cards with numbers nobody has read in a source yet.")
    ] = False,
    page: Annotated[
        Path | None, typer.Option("--markdown", metavar="PAGE.md", help="Renew the table of cards in a page.")
    ] = None,
    json_: Json = False,
) -> None:
    """List the catalogue of media of lines; `substrate media show NAME` prints one."""
    if context.invoked_subcommand is None:
        with reported():
            from substrate.cli.catalogue import run_list

            run_list("medium", unverified, json_, page)


@media_app.command("show")
def media_show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A card's name, or the path of a card file.")],
    json_: Json = False,
) -> None:
    """Print one card of a medium: every number with its unit, source and how far it is to be trusted."""
    with reported():
        from substrate.cli.catalogue import run_show

        run_show(name, "medium", json_)


@app.command()
def fit(
    file: Annotated[Path, typer.Argument(metavar="CURVES.csv", help="Columns pulse,value; see docs/devices.md.")],
    model: Annotated[
        str, typer.Option("--model", metavar="NAME", help="What to fit: soft_bounds, ...")
    ] = "soft_bounds",
    noise: Annotated[
        str, typer.Option("--noise", metavar="read|step", help="Whether readings or steps scatter.")
    ] = "read",
    card: Annotated[Path | None, typer.Option("--card", metavar="OUT.toml", help="Write a device card.")] = None,
    figure: Annotated[Path | None, typer.Option("--figure", metavar="OUT.png", help="Draw data and fit.")] = None,
    source: Annotated[
        str | None, typer.Option("--source", metavar="TEXT", help="Where the card says the curves come from.")
    ] = None,
    json_: Json = False,
) -> None:
    """Fit a device to measured curves, with uncertainties: pulse trains, retention G(t), or speed against voltage."""
    with reported():
        from substrate.cli.fitting import Request, run_fit

        run_fit(Request(file, model, noise, card, figure, source, json_))


def main() -> None:
    """The console command: exit code 0, 2 for a mistake that can be named, 130 after Ctrl-C, 1 for anything else."""
    app()
