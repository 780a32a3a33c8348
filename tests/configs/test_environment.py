"""What comes from environment variables is used, and written down as its text."""

import pytest
from omegaconf import OmegaConf

from combgrad.runs.checks import ConfigurationError
from combgrad.runs.configuration import compose, scientific
from combgrad.runs.environment import for_loggers, literal, written

SECRET = "hunter2"


@pytest.fixture(autouse=True)
def secret(monkeypatch):
    monkeypatch.setenv("MY_SECRET", SECRET)
    monkeypatch.setenv("MY_NUMBER", "0.125")
    monkeypatch.setenv("MY_KIND", "chord")
    monkeypatch.setenv("COMBGRAD_DATA", "/data/of/mine")


def test_the_run_has_the_values_and_what_is_written_the_texts():
    config = compose(
        [
            "logger=wandb",
            "logger.wandb.entity=${oc.env:MY_SECRET}",
            "+logger.wandb.notes=told by ${oc.env:MY_SECRET,nobody}",
            "data.url='https://me:pass@host/x?token=abc'",
        ]
    )
    assert config.logger.wandb.entity == SECRET
    assert config.logger.wandb.notes == f"told by {SECRET}"
    assert config.data.path == "/data/of/mine"
    assert config.data.url == "https://me:pass@host/x?token=abc"
    shown = OmegaConf.to_container(written(config), resolve=True)
    assert shown["logger"]["wandb"]["entity"] == "${oc.env:MY_SECRET}"
    assert shown["logger"]["wandb"]["notes"] == "told by ${oc.env:MY_SECRET,nobody}"
    assert shown["data"]["path"] == shown["paths"]["data"] == "${oc.env:COMBGRAD_DATA,null}"
    assert shown["data"]["url"] == "https://host/x"
    assert shown["overrides"][1:] == [
        "logger.wandb.entity=${oc.env:MY_SECRET}",
        "+logger.wandb.notes=told by ${oc.env:MY_SECRET,nobody}",
        "data.url='https://host/x'",
    ]
    (logger,) = for_loggers(config)
    assert logger.entity == SECRET  # an address, which the logger must know
    assert logger.notes == "told by ${oc.env:MY_SECRET,nobody}"


def test_a_number_from_the_environment_decides_the_result_and_is_recorded():
    config = compose(["optimizer.lr='${oc.decode:${oc.env:MY_NUMBER}}'"])
    assert config.optimizer.lr == 0.125
    assert scientific(config) == scientific(compose(["optimizer.lr=0.125"]))
    assert written(config).optimizer.lr == 0.125


def test_text_from_the_environment_that_decides_the_result_is_refused():
    with pytest.raises(ConfigurationError, match="it must be regenerated") as caught:
        compose(["data.source=${oc.env:MY_SECRET}"])
    assert SECRET not in str(caught.value)
    with pytest.raises(ConfigurationError, match="write the value itself"):
        compose(["data.distance=${oc.env:MY_KIND}"])


@pytest.mark.parametrize(
    "text", ["plain", "${x}", "a ${x.y} b", r"\${x}", r"a\b", r"a\\${x}\\", "${a:${b}}", "$", "{}"]
)
def test_a_literal_text_is_read_as_it_was(text):
    config = OmegaConf.create(literal({"a": [text], "b": {"c": text}}))
    assert OmegaConf.to_container(config, resolve=True) == {"a": [text], "b": {"c": text}}
    again = OmegaConf.create(OmegaConf.to_yaml(config))
    assert again.b.c == text
