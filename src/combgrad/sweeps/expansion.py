"""From the words of a command line to the list of jobs it means."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override

from combgrad.errors import CombgradError
from combgrad.plans.grids import KINDS, Plan, Point, load_plans
from combgrad.results.heads import words_of
from combgrad.runs.checks.modes import OF_SWEEPS, is_for_sweeps
from combgrad.runs.configuration import NEUTRAL_NODES

#: Words for a single run, which makes no record that a sweep could count.
SINGLE_WORDS = frozenset({"debug", "mode", "checkpoint"})

#: Words of a sweep that are true or false.
SWITCHES = frozenset({"dry", "rerun"})

#: Words that a sweep says to its jobs itself, as no other could.
TOLD_TO_JOBS = frozenset({"group", "resume", "sweep"})

#: key -> its values as Hydra writes them, such as {"seed": ["0", "1"]}
Choices = dict[str, list[str]]


class SweepWordError(CombgradError, ValueError):
    """A word on the command line that a sweep cannot understand."""


@dataclass(frozen=True)
class Request:
    """One job as it was asked for: its overrides, and the table or figure it belongs to."""

    overrides: tuple[str, ...]
    group: str | None


def is_sweep(arguments: Sequence[str]) -> bool:
    """Whether a command line asks for a sweep."""
    return any(word in {"-m", "--multirun"} for word in arguments)


def arranged(arguments: Sequence[str]) -> list[str]:
    """The arguments as Hydra can take them; SweepWordError for a sweep's word in a single run.

    Likewise for a single run's word in a sweep.

    In a sweep every scientific `key=value` becomes `key=choice(value)`: Hydra composes the words
    once with the defaults before any job, where `margin.alpha=0.1` is an error unless the default
    margin has an `alpha`. Choices it leaves to the jobs. A `table=6` it takes for a config group.
    """
    if is_sweep(arguments):
        for word in arguments:
            if word.partition("=")[0].partition(".")[0] in SINGLE_WORDS:
                raise SweepWordError(f"{word} is for a single run; leave out -m.")
        return [_deferred(word) for word in arguments]
    for word in arguments:
        if word.partition("=")[0] in OF_SWEEPS:
            raise SweepWordError(is_for_sweeps(word))
    return list(arguments)


def _deferred(word: str) -> str:
    key, equals, value = word.partition("=")
    top = key.partition(".")[0].partition("/")[0]
    own = top in (NEUTRAL_NODES - set(KINDS)) | {"hydra"} or not top.isidentifier()
    if not equals or own or not value:
        return word
    # In the plural: the singular raises what does not tell the word.
    (override,) = OverridesParser.create().parse_overrides([word])
    if override.is_sweep_override():
        return word
    # Hydra's choice() takes no null, of two values it does; both are one job.
    return f"{key}={value},{value}" if override.value() is None else f"{key}=choice({value})"


def requests(words: Sequence[str], loader: ConfigLoader | None = None) -> list[Request]:
    """All jobs that a sweep's words mean, each once, the first seed of every cell first.

    `loader` knows the options that `glob(tsp*)` may mean.

    Raises SweepWordError or PlanError where the words make no sense together.
    """
    parsed = OverridesParser.create(config_loader=loader).parse_overrides(list(words))
    for word in parsed:
        _check_heeded(word)
    given = {_key(word): _values(word) for word in parsed}
    plans = [p for kind in KINDS for which in given.get(kind, ()) for p in load_plans(kind, which)]
    seeds = _seeds(given)
    given = {key: values for key, values in given.items() if key not in OF_SWEEPS}
    if not plans:
        choices = {**given, "seed": seeds} if seeds else given
        return [Request(tuple(words), None) for words in _product(choices)]
    _check_told(plans, given)
    found: dict[frozenset[str], Request] = {}
    for plan in _with_experiments(plans, given):
        for request in _of_plan(plan, given, seeds):
            found.setdefault(frozenset(request.overrides), request)
    return list(found.values())


def _key(word: Override) -> str:
    """What a word sets; `++` before a key that every configuration has says nothing more."""
    key = str(word.get_key_element())
    plain = key.removeprefix("++")
    return plain if plain in OF_SWEEPS | TOLD_TO_JOBS | {"seed"} else key


def _check_heeded(word: Override) -> None:
    """SweepWordError for a word that a sweep would take for another one, or not look at."""
    key, value, text = _key(word), word.value(), word.input_line
    if key in SWITCHES and not isinstance(value, bool):
        # Hydra takes `no` for a text, and any text would count as yes.
        raise SweepWordError(f"{text}: it must be true or false.")
    if key in TOLD_TO_JOBS - {"resume"}:
        raise SweepWordError(f"{text} would be ignored: a sweep sets it itself. Leave it out.")
    if key == "resume" and value is not True:
        raise SweepWordError(
            f"{text} would be ignored: a sweep goes on with what was cut off. Leave it out, or "
            f"write rerun=true, which runs every job from the beginning."
        )


def _check_told(plans: Sequence[Plan], given: Choices) -> None:
    """SweepWordError for a value that no plan has, where that can only be a mistake.

    That is an experiment, and a value beside others which the plans do have.
    """
    which = ", ".join(plan.name for plan in plans)
    for key, values in given.items():
        held = {str(point[key]): None for plan in plans for point in plan.points if key in point}
        missing = [value for value in values if not _among(value, list(held))]
        if held and missing and (key == "experiment" or len(missing) < len(values)):
            raise SweepWordError(
                f"{which} has no {key}={','.join(missing)}; it holds {', '.join(held)}."
            )


def _with_experiments(plans: Sequence[Plan], given: Choices) -> list[Plan]:
    """Those of several plans that hold an experiment which was asked for."""
    wanted = given.get("experiment")
    if wanted is None:
        return list(plans)
    return [plan for plan in plans if any(_among(p.get("experiment"), wanted) for p in plan.points)]


def _values(word: Override) -> list[str]:
    if not word.is_sweep_override():
        return [word.get_value_element_as_str()]
    if not word.is_discrete_sweep():
        raise SweepWordError(
            f"{word.input_line!r} is a continuous range; name the values, such as key=0.1,0.2."
        )
    return list(dict.fromkeys(word.sweep_string_iterator()))


def _seeds(given: Choices) -> list[str]:
    if "seeds" not in given:
        return given.pop("seed", [])
    if "seed" in given:
        raise SweepWordError("seeds=N means seed=0,...,N-1; give one of them, not both.")
    number = given["seeds"][0]
    if len(given["seeds"]) > 1 or not number.isdecimal() or int(number) < 1:
        raise SweepWordError(
            f"seeds={','.join(given['seeds'])}: it must be one number, at least 1."
        )
    return [str(seed) for seed in range(int(number))]


def _product(choices: Choices) -> Iterable[list[str]]:
    lists = [[f"{key}={value}" for value in values] for key, values in choices.items()]
    return (list(words) for words in itertools.product(*lists))


def _of_plan(plan: Plan, given: Choices, seeds: list[str]) -> Iterable[Request]:
    given = {"profile": [plan.profile], **given}
    seeds = seeds or [str(seed) for seed in range(plan.seeds)]
    points = narrowed(plan.points, given)
    if not points:
        words = " ".join(f"{key}={','.join(values)}" for key, values in given.items())
        raise SweepWordError(f"no cell of {plan.name} is left by {words}.")
    keys = {key for point in plan.points for key in point}
    others = {key: values for key, values in given.items() if key not in keys}
    for seed in seeds:
        for point in points:
            for more in _product(others):
                yield Request((*words_of(point), *more, f"seed={seed}"), plan.name)


def narrowed(points: Sequence[Point], given: Choices) -> list[Point]:
    """The points of a plan as changed by what else was given.

    A key whose given values occur in the plan keeps the points that have them; a key with none of
    them in the plan is set to them in all points that have the key.
    """
    kept = list(points)
    for key, values in given.items():
        if not any(key in point for point in points):
            continue
        if any(_among(point.get(key), values) for point in points):
            kept = [point for point in kept if _among(point.get(key), values)]
        else:
            kept = [{**point, key: value} for point in kept if key in point for value in values]
    unique = {tuple(point.items()): point for point in kept}
    return list(unique.values())


def _among(value: object, values: Sequence[str]) -> bool:
    return any(_number(str(value)) == _number(other) for other in values)


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
