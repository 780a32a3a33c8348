"""Which keys of a configuration a run reads, and which were given for nothing."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from combgrad.runs.checks.options import options_with, typed_words, value_of

#: Nodes that are built: all below them are arguments of something, which knows their names.
BUILT = (
    *("callbacks", "data", "grad", "logger", "loss", "margin", "model", "optimizer"),
    *("proj", "schedule", "solver", "task", "trainer"),
)

#: What the code reads by itself; a test compares this with the code.
READ_BY_CODE = frozenset(
    {
        *("checkpoint", "choices", "debug.batches", "debug.epochs", "debug.name"),
        *("debug.profiled", "debug.same", "dry", "figure", "group", "mode", "name"),
        *("overrides", "pictures", "profile.name"),
        *("paths.committed", "paths.output", "paths.results", "paths.root"),
        *("corruption.gradient_sigma", "monitor.metric", "monitor.mode", "progress_bar"),
        *("rerun", "resume", "seed", "seeds", "sweep", "table", "threads"),
    }
)

#: Unread keys that ask for nothing at these values, or at any value where nobody typed them.
AT_REST: dict[str, Any] = {"corruption.label_rho": 0.0}
UNLESS_TYPED = ("budget", "margin_until", "paths", "size")

_INNERMOST = re.compile(r"\$\{([^${}]*)\}")


def unread(config: DictConfig) -> list[str]:
    """One line for each key that was given and that no run of this configuration would read."""
    texts = dict(leaves(OmegaConf.to_container(config, resolve=False)))
    read = keys_read(config, texts)
    typed = typed_keys(config)
    ignored = [
        key for key in texts if key not in read and not _rests(key, texts[key], typed, config)
    ]
    tops = {key: key.partition(".")[0] for key in ignored}
    whole = {
        top
        for top in set(tops.values())
        if all(key in tops for key in texts if _within(key, top))
        and not OmegaConf.is_missing(config, top)
    }
    named = sorted({tops[key] if tops[key] in whole else key for key in ignored})
    return [_fault(key, config, texts) for key in named]


def _rests(key: str, text: Any, typed: set[str], config: DictConfig) -> bool:
    if key.partition(".")[0] == "hydra":
        return True
    if key in AT_REST and value_of(config, key) == AT_REST[key]:
        return True
    given = any(_within(key, name) or _within(name, key) for name in typed)
    return key.partition(".")[0] in UNLESS_TYPED and not given


def _fault(key: str, config: DictConfig, texts: dict[str, Any]) -> str:
    value = f"={texts[key]}" if key in texts else ""
    choices = config.get("choices") or {}
    chosen = " ".join(
        f"{group}={choices[group]}"
        for group in ("experiment", "data", "profile")
        if group in choices
    )
    readers = options_with(re.compile(r"\$\{" + re.escape(key) + r"[}.]"))
    readers = [option for option in readers if option.partition("=")[0] != "task"]
    remedy = f" ({' or '.join(readers)} would read it)" if readers else ""
    if key.startswith("budget."):
        remedy = f" (profile={key.split('.')[1]} would read it)"
    return f"{key}{value} would be ignored: nothing of {chosen} reads it. Leave it out{remedy}."


def keys_read(config: DictConfig, texts: dict[str, Any]) -> set[str]:
    """The keys in `texts` (key -> unresolved value) that a run reads, interpolations followed."""
    reached: set[str] = set()
    read: set[str] = set()
    todo = [*BUILT, *READ_BY_CODE]
    while todo:
        key = todo.pop()
        if key in reached:
            continue
        reached.add(key)
        for leaf, text in texts.items():
            if _within(leaf, key):
                read.add(leaf)
                todo += references(text, leaf, config)
            elif _within(key, leaf) and isinstance(text, str) and "${" in text:
                # Through a node that stands for another one: size.epochs is budget.paper.epochs.
                *inner, outer = references(text, leaf, config) or [""]
                read.add(leaf)
                todo += [*inner, outer + key.removeprefix(leaf)]
    return read


def references(text: Any, key: str, config: DictConfig) -> list[str]:
    """The keys that the interpolations in a value name, the outermost last."""
    found = []
    while isinstance(text, str) and (match := _INNERMOST.search(text)):
        name, colon, arguments = match.group(1).strip().partition(":")
        value: Any = ""
        if not colon or name == "oc.select" or name.startswith("oc.dict"):
            name = _absolute((arguments.partition(",")[0] if colon else name).strip(), key)
            found.append(name)
            if "${" in text[: match.start()]:  # part of another name
                value = value_of(config, name)
        text = text[: match.start()] + str(value).replace("${", "") + text[match.end() :]
    return found


def _absolute(name: str, key: str) -> str:
    dots = len(name) - len(name.lstrip("."))
    name = re.sub(r"\[([^\]]*)\]", r".\1", name[dots:]).strip(".")
    return ".".join([*key.split(".")[:-dots], name]) if dots else name


def leaves(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """The dotted keys of plain nested containers, each with its value."""
    children: Sequence[tuple[Any, Any]]
    if isinstance(node, dict) and (node or not key):
        children = list(node.items())
    elif isinstance(node, list) and node:
        children = list(enumerate(node))
    else:
        # An empty container has nothing that could be ignored.
        if node != {} and node != []:
            yield key, node
        return
    for name, child in children:
        yield from leaves(child, f"{key}.{name}" if key else str(name))


def typed_keys(config: DictConfig) -> set[str]:
    """The keys that the command line names."""
    parsed = OverridesParser.create().parse_overrides(typed_words(config))
    return {str(word.key_or_group).replace("/", ".") for word in parsed}


def _within(key: str, node: str) -> bool:
    return key == node or key.startswith(f"{node}.")
