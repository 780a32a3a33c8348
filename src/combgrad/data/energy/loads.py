"""Scheduling instances of the ICON challenge: what is to run within a day, and on which machines.

A file has numbers only: the minutes of a slot, how many resources and machines there are; of each
machine its number, the costs of idling, of switching on and off, and its capacities; how many
tasks; of each task its number, duration, earliest start, latest end and power, and its uses.
"""

from typing import NamedTuple

import numpy as np

from combgrad.data.energy.prices import SLOTS
from combgrad.data.files.npy import REMEDY, DataFileError
from combgrad.errors import SolverInputError
from combgrad.solvers.energy_scheduling import checked_schedule

MINUTES_A_DAY = 24 * 60

#: Powers are taken for kW, which no file says; energy is then in MWh, prices in euro a MWh.
KW_A_MW = 1000.0

#: Machines, resources and tasks; more is taken for damage.
MOST = 1000


class Load(NamedTuple):
    """The tasks (T, 4 + R) and capacities (M, R) of a day, as `EnergyScheduling` takes them.

    A task's energy in a slot is in MWh. The costs of idling and switching are left out.
    """

    tasks: np.ndarray
    capacities: np.ndarray


class _Numbers:
    """The numbers of a text one after another."""

    def __init__(self, text: str) -> None:
        self.left = iter(text.split())

    def whole(self) -> int:
        """The next number, which is a whole one of at least 0."""
        number = int(next(self.left))
        if number < 0:
            raise ValueError(f"{number} is below 0")
        return number

    def count(self) -> int:
        """The next number, which says how many of something there are."""
        number = self.whole()
        if number > MOST:
            raise ValueError(f"{number} is more than {MOST}")
        return number

    def several(self, count: int) -> list[float]:
        """The next `count` numbers."""
        return [float(next(self.left)) for _ in range(count)]


def read_load(text: str, name: str) -> Load:
    """The load of a file's text; raises DataFileError with `name`."""
    try:
        load = _read(_Numbers(text))
        checked_schedule(*load, SLOTS)
    except (ValueError, StopIteration) as error:
        problem = str(error) if isinstance(error, SolverInputError) else repr(error)
        raise DataFileError(f"{name}: is no scheduling instance ({problem}). {REMEDY}") from error
    return load


def _read(numbers: _Numbers) -> Load:
    minutes, resources, machines = numbers.whole(), numbers.count(), numbers.count()
    if minutes * SLOTS != MINUTES_A_DAY:
        raise ValueError(f"slots of {minutes} minutes")
    capacities = np.zeros((machines, resources))
    for machine in range(machines):
        if numbers.whole() != machine:
            raise ValueError(f"machine {machine} has another number")
        numbers.several(3)
        capacities[machine] = numbers.several(resources)
    tasks = np.zeros((numbers.count(), 4 + resources))
    for task in range(len(tasks)):
        if numbers.whole() != task:
            raise ValueError(f"task {task} has another number")
        tasks[task] = numbers.several(4 + resources)
    tasks[:, 3] *= minutes / 60 / KW_A_MW
    if next(numbers.left, None) is not None:
        raise ValueError("numbers after the last task")
    return Load(tasks, capacities)
