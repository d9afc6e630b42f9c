"""Whether two threads are faster than one, found out while a run goes on: other jobs come and go on a machine."""

PIECE, SHORT = 16, 2  # blocks stepped in one piece, and in one that tries the slower way
TRIAL = 32  # pieces after which the slower way is tried again
RARELY = 1024  # pieces, at most, where it was much slower the last times
MUCH = 2.0  # times as slow


class Pace:
    """Picks the way whose last piece was quicker, and tries the other now and then; both compute the same.

    A thread that another job keeps waiting makes all wait, at every block: by a factor of a hundred and more.

    >>> pace = Pace()
    >>> for _ in range(4):
    ...     threads = pace.pick()
    ...     pace.took(5.0 if threads else 1.0)
    >>> pace.pick()
    False
    """

    def __init__(self) -> None:
        self.seconds: dict[bool, float] = {}  # of a step, by way
        self.warm: set[bool] = set()  # ways whose first piece, which compiles and wakes threads, is over
        self.threads, self.trial, self.since, self.patience = False, False, 0, TRIAL

    def pick(self) -> bool:
        """Whether the next piece, of ``blocks`` blocks, is to use threads; :meth:`took` must follow."""
        untried = [way for way in (True, False) if way not in self.seconds]
        faster = self.seconds.get(True, 0.0) < self.seconds.get(False, 0.0)
        self.trial = bool(untried) or self.since >= self.patience
        self.since = 0 if self.trial else self.since + 1
        self.threads = untried[0] if untried else faster != self.trial
        return self.threads

    @property
    def blocks(self) -> int:
        """How many blocks the next piece should have."""
        return SHORT if self.trial else PIECE

    def took(self, seconds: float) -> None:
        """How long a step of the piece took."""
        if self.threads not in self.warm:
            self.warm.add(self.threads)
            return
        other = self.seconds.get(not self.threads, seconds)
        if self.trial:
            self.patience = min(RARELY, 2 * self.patience) if seconds > MUCH * other else TRIAL
        self.seconds[self.threads] = seconds
