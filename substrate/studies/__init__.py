"""Studies: many runs of one input file, over a grid or a random design, on as many processes as there are."""

from substrate.studies.description import Study, load_study
from substrate.studies.design import Run, plan_runs
from substrate.studies.running import run_study
from substrate.studies.table import read_table

__all__ = ["Run", "Study", "load_study", "plan_runs", "read_table", "run_study"]
