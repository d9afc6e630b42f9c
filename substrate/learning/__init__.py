"""Learning with waves: layered networks, parameter ports, training, and the digital reference."""

from substrate.learning.layered import layered
from substrate.learning.settings import RecordSettings, TrainSettings
from substrate.learning.training import train

__all__ = ["RecordSettings", "TrainSettings", "layered", "train"]
