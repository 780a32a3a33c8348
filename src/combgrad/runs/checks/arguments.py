"""The arguments that a configuration gives to what it builds: known ones, of the right kind."""

import difflib
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Literal

from omegaconf import DictConfig, OmegaConf

from combgrad.guards.collecting import no_collecting
from combgrad.runs.checks.kinds import expected, fits
from combgrad.runs.checks.options import options_setting
from combgrad.runs.checks.reads import BUILT, references

#: What Hydra reads of a node itself.
HYDRAS = frozenset({"_target_", "_partial_", "_args_", "_recursive_", "_convert_"})

#: Arguments that the run gives to a node, whatever the configuration says.
GIVEN_BY_RUN = {
    "task": frozenset({"net", "layer", "loss", "optimizer", "schedule", "seed"}),
    "trainer": frozenset({"logger", "callbacks", "default_root_dir"}),
    "optimizer": frozenset({"params"}),
}

#: Nodes that hold any number of parts, each under a name of its own.
SEVERAL = frozenset({"callbacks", "logger"})

#: Where the further keyword arguments of a class of another package go.
FORWARDS = {
    "pytorch_lightning.loggers.WandbLogger": "wandb.init",
    "pytorch_lightning.loggers.TensorBoardLogger": "torch.utils.tensorboard.SummaryWriter",
}

#: Constructors that take anything and then refuse it.
TAKE_NOTHING = frozenset({"object.__init__", "Module.__init__"})

#: Values that the code reads without building anything of them.
PLAIN_VALUES: dict[str, Any] = {
    "checkpoint": str | None,
    "corruption.gradient_sigma": float,
    "corruption.label_rho": float,
    "debug.profiled": bool | None,
    "debug.same": bool | None,
    "mode": Literal["train", "test"],
    "monitor.metric": str,
    "monitor.mode": Literal["min", "max"],
    "paths.committed": str,
    "paths.output": str,
    "paths.outputs": str,
    "paths.results": str,
    "paths.root": str,
    "pictures": bool,
    "progress_bar": bool,
    "resume": bool,
    "seed": int,
    "threads": int,
}


def faulty_values(values: dict[str, Any]) -> list[str]:
    """One line for each value of the wrong kind among those that the code reads itself."""
    faults = []
    for key, kind in PLAIN_VALUES.items():
        top, _, below = key.partition(".")
        value = values.get(top)
        if below:
            value = value.get(below) if isinstance(value, dict) else None
        if not fits(value, kind):
            faults.append(f"{key} is {value!r}; it must be {expected(kind)}.")
    return faults


def faulty_arguments(values: dict[str, Any], config: DictConfig) -> list[str]:
    """One line for each argument, in a resolved configuration, that what is built cannot take."""
    faults: list[str] = []
    texts = OmegaConf.to_container(config, resolve=False)
    for key in BUILT:
        nodes = {key: values.get(key)}
        if key in SEVERAL:
            nodes = {f"{key}.{name}": node for name, node in (values.get(key) or {}).items()}
        for place, node in nodes.items():
            if node is None or node == {}:
                continue
            if not isinstance(node, dict) or "_target_" not in node:
                faults.append(_nothing_to_set(place, node, config))
            else:
                text = texts
                for name in place.split("."):
                    text = text.get(name) if isinstance(text, dict) else None
                faults += _of_node(node, place, text, config)
    return faults


def _imported(path: str) -> Any:
    with no_collecting():
        if path.startswith("pytorch_lightning"):
            # Its import needs the guard that comes with this door.
            import combgrad.guards.lightning  # noqa: F401
        try:
            return pkgutil.resolve_name(path)
        except AttributeError:
            _raise_hidden(path)
            raise


def _raise_hidden(path: str) -> None:
    """Raise what went wrong within a module of a path, which `resolve_name` takes for none."""
    parts = path.split(".")
    for depth in range(1, len(parts)):
        name = ".".join(parts[:depth])
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name == name:
                return
            raise


def _nothing_to_set(key: str, node: Any, config: DictConfig) -> str:
    choice = (config.get("choices") or {}).get(key)
    chosen = f"{key}={choice}" if choice is not None else key
    if not isinstance(node, dict):
        return (
            f"{key} is {node!r}, which is no option and builds nothing; choose an option of "
            f"{key.partition('.')[0]}."
        )
    name = next(iter(node))
    others = options_setting(key, str(name))
    remedy = f"choose {' or '.join(others)}" if others else "leave it out"
    return f"{key}.{name} would be ignored: {chosen} has nothing to set; {remedy}."


def _told_elsewhere(text: Any, key: str, config: DictConfig) -> bool:
    """Whether a value stands for one that is checked where it is."""
    names = references(text, key, config)
    return bool(names) and (names[-1] in PLAIN_VALUES or names[-1].partition(".")[0] in BUILT)


def _of_node(node: dict[str, Any], key: str, texts: Any, config: DictConfig) -> Iterator[str]:
    try:
        target = _imported(str(node["_target_"]))
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        yield f"{key}._target_ is {node['_target_']!r}, which cannot be imported: {reason}"
        return
    names, open_ended = arguments_of(target)
    forward = FORWARDS.get(str(node["_target_"]))
    if open_ended and forward is not None:
        more, open_ended = arguments_of(_imported(forward))
        names = {**more, **names}
    given = GIVEN_BY_RUN.get(key, frozenset())
    if (awaited := sorted(given & names.keys())) and not node.get("_partial_"):
        yield (
            f"{key} would be built before the run can give it {', '.join(awaited)}; write "
            f"_partial_: true into its YAML."
        )
    unknown: list[str] = []
    for name, value in node.items():
        place = f"{key}.{name}"
        text = texts.get(name) if isinstance(texts, dict) else None
        if name in HYDRAS or _told_elsewhere(text, place, config):
            continue
        if name in given:
            yield f"{place} would be ignored: the run sets it itself. Leave it out."
        elif name not in names and not open_ended:
            unknown.append(str(name))
        elif value == "???":
            yield f"{place} has no value and needs one; write {place}=<value>."
        elif isinstance(value, dict) and "_target_" in value:
            yield from _of_node(value, place, text, config)
        elif name in names and not fits(value, names[name]):
            # As it was typed: what it stands for may be a secret.
            shown = text if "${" in str(text) else repr(value)
            yield f"{place} is {shown}; it must be {expected(names[name])}."
    if unknown:
        yield _unknown(key, unknown, sorted(names.keys() - given), node)


def takes(node: DictConfig, key: str, name: str) -> bool:
    """Whether what a node builds has an argument of this name that a configuration may give."""
    if "_target_" not in node or name in GIVEN_BY_RUN.get(key, ()):
        return False
    try:
        return name in arguments_of(_imported(str(node["_target_"])))[0]
    except Exception:  # reported when it is built
        return False


def _unknown(key: str, unknown: list[str], names: list[str], node: dict[str, Any]) -> str:
    built = str(node["_target_"]).rpartition(".")[2]
    given = ", ".join(f"{key}.{name}" for name in unknown)
    close = [match for name in unknown for match in difflib.get_close_matches(name, names, n=1)]
    hint = f" Did you mean {key}.{close[0]}?" if close else ""
    takes = f"it takes {', '.join(names)}" if names else "it takes nothing"
    are = "is" if len(unknown) == 1 else "are"
    return f"{given} {are} unknown to {built}: {takes}.{hint} Leave it out otherwise."


@cache
def arguments_of(target: Callable[..., Any]) -> tuple[dict[str, Any], bool]:
    """The keyword arguments that a callable takes, name -> annotation, and whether any others.

    Those that a class hands on to its base by `**` are the base's.
    """
    names: dict[str, Any] = {}
    bases = target.__mro__ if inspect.isclass(target) else ()
    for place in [base.__dict__["__init__"] for base in bases if "__init__" in base.__dict__] or [
        target
    ]:
        if place.__qualname__ in TAKE_NOTHING:
            return names, bool(names)  # where there are some, the rest went elsewhere
        try:
            parameters = list(inspect.signature(place).parameters.values())
        except (TypeError, ValueError):  # compiled: nothing is known of it
            return names, True
        for parameter in parameters[1:] if bases else parameters:
            if parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD):
                names.setdefault(parameter.name, _annotation(parameter, place))
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            return names, False
    return names, True


def _annotation(parameter: inspect.Parameter, place: Callable[..., Any]) -> Any:
    annotation = parameter.annotation
    if annotation is parameter.empty:
        return Any
    if isinstance(annotation, str):
        try:
            return eval(annotation, getattr(inspect.unwrap(place), "__globals__", {}))
        except Exception:  # a name that only a type checker imports
            return Any
    return annotation
