"""The progress bar of a run: batches or steps, accuracy and time left, on stderr and only where somebody looks."""

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class ProgressLine:
    """A `with` block that shows progress; `stop`, once set, is raised when the next batch has ended."""

    def __init__(self, hidden: bool = False, doing: str = "training") -> None:
        console = Console(stderr=True)
        self.stop: BaseException | None = None
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=16),
            MofNCompleteColumn(),
            TextColumn("{task.fields[accuracy]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            disable=hidden or not console.is_terminal,
            refresh_per_second=4,
        )
        self.task = self.progress.add_task("starting", total=None, accuracy="")
        self.begun, self.doing = False, doing

    def update(self, state: dict[str, float]) -> None:
        """Take the counts after a batch: `batches`, `total` and the latest test `accuracy` (nan before the first)."""
        if not self.begun:  # a resumed run does not count as fast what was done before
            done = int(state["batches"])
            self.progress.reset(self.task, total=state["total"], completed=done, description=self.doing)
            self.begun = True
        accuracy = state["accuracy"]
        shown = f"accuracy {100 * accuracy:.1f} %" if accuracy == accuracy else ""
        self.progress.update(self.task, completed=state["batches"], accuracy=shown)
        if self.stop is not None:
            raise self.stop

    def __enter__(self) -> "ProgressLine":
        self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.stop()
