"""Every key of a composed configuration is read by the run, or refused in one line."""

import ast
import itertools
import re

import pytest
from omegaconf import DictConfig, OmegaConf

from combgrad.runs.checks import ConfigurationError, check_configuration
from combgrad.runs.checks.modes import OF_SWEEPS
from combgrad.runs.checks.reads import AT_REST, BUILT, READ_BY_CODE, keys_read, leaves, references
from combgrad.runs.configuration import CONFIG_FOLDER, compose, compose_lazily
from combgrad.sweeps.checking import InvalidJobsError, prepare
from combgrad.sweeps.expansion import Request
from parts import options, swapped, without_words

ROOT = CONFIG_FOLDER.parent

#: Keys that a run may leave unread: off unless asked for, or read by another choice.
MAY_REST = ("budget", "corruption.label_rho", "margin_until", "paths", "size")


def unread_keys(config) -> set[str]:
    texts = dict(leaves(OmegaConf.to_container(config, resolve=False)))
    return {key for key in texts if not key.startswith("hydra.")} - keys_read(config, texts)


def with_method(base: DictConfig, grad: str) -> DictConfig:
    """An experiment with another method; composed anew only where Hydra would set more than it."""
    if (CONFIG_FOLDER / "tuned" / f"{base.choices.task}_{grad}.yaml").exists():
        return compose_lazily([f"experiment={base.choices.experiment}", f"grad={grad}"])
    return swapped(base, "grad", grad)


@pytest.mark.parametrize("experiment", options("experiment"))
def test_all_keys_of_every_experiment_with_every_method_are_read(experiment):
    base = compose_lazily([f"experiment={experiment}"])
    for grad in options("grad"):
        config = with_method(base, grad)
        assert config.choices.grad == grad
        check_configuration(config)
        assert {key for key in unread_keys(config) if not key.startswith(MAY_REST)} == set()


def test_of_all_options_only_what_is_tuned_sets_values_of_a_method():
    files = [*CONFIG_FOLDER.glob("*/*.yaml")]
    setting = {path.parent.name for path in files if re.search(r"^grad:", path.read_text(), re.M)}
    assert setting == {"tuned"}
    base = compose_lazily(["experiment=tsp5"])
    for grad in options("grad"):
        whole = compose_lazily(["experiment=tsp5", f"grad={grad}"])
        assert without_words(with_method(base, grad)) == without_words(whole)


@pytest.mark.parametrize("experiment", ["tsp5", "warcraft12", "dvae", "l2x_k5"])
def test_all_keys_of_every_other_choice_are_read(experiment):
    for group in ("margin", "trainer", "logger", "profile", "debug"):
        for option in options(group):
            config = compose_lazily([f"experiment={experiment}", f"{group}={option}"])
            check_configuration(config)
            assert {key for key in unread_keys(config) if not key.startswith(MAY_REST)} == set()


def read_in_code() -> set[str]:
    """What the code reads as `config.a.b` or `config["a"]`, by its syntax."""
    found = set()
    files = [ROOT / "train.py", *(ROOT / "src").rglob("*.py")]
    for path in files:
        if "checks" in path.parts or "bench" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute):
                chain = ast.unparse(node)
                for start in ("config.", "self.config.", "job.config.", "entry.job.config."):
                    if chain.startswith(start) and chain.removeprefix(start).isidentifier():
                        found.add(chain.removeprefix(start))
                    elif chain.startswith(start):
                        found.add(".".join(chain.removeprefix(start).split(".")[:2]))
    return found


def test_the_list_of_what_the_code_reads_is_what_it_reads():
    config = compose_lazily(["logger=wandb", "margin=noise", "debug=fast"])
    keys = set(dict(leaves(OmegaConf.to_container(config, resolve=False))))
    keys |= {key.rpartition(".")[0] for key in keys}
    in_code = {
        key
        for key in read_in_code()
        if key in keys and key.partition(".")[0] not in (*BUILT, "hydra")
    }
    # Nodes as a whole, which the code looks into by further names.
    in_code -= {"budget", "corruption", "debug", "margin", "monitor", "paths", "profile", "size"}
    in_code -= {"corruption.label_rho"}  # for the run's name alone
    in_code |= {*OF_SWEEPS, "progress_bar"}  # the words of sweeps
    in_code = {"choices" if key.startswith("choices") else key for key in in_code}
    assert in_code == READ_BY_CODE


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("experiment=warcraft12 corruption.label_rho=0.3", "data=globe_tsp would read it"),
        ("experiment=dvae corruption.label_rho=0.3", "corruption.label_rho=0.3 would be ignored"),
        ("experiment=l2x_k5 corruption.label_rho=0.3", "corruption.label_rho=0.3 would be ignored"),
        ("experiment=warcraft12 tuned=warcraft_orginal", "Did you mean tuned=warcraft_original?"),
        ("tuned=nothing", "there is no tuned=nothing"),
        ("+note=x", "note=x would be ignored"),
        ("+notes.a.b=[1,2]", "notes would be ignored"),
        ("+note=${seed}", "note=${seed} would be ignored"),
        ("margin_until=3", "margin=informed or margin=noise would read it"),
        ("budget.paper.epochs=3 profile=smoke", "profile=paper would read it"),
        ("+budget.reduced.extra=3", "budget.reduced.extra=3 would be ignored"),
        ("+paths.extra=x", "paths.extra=x would be ignored"),
        ("+monitor.patience=3", "monitor.patience=3 would be ignored"),
        ("+corruption.x=3", "corruption.x=3 would be ignored"),
        ("+noise=gumbel +noise.k=3", "noise would be ignored"),
        ("+solver.x=1", "solver.x is unknown to TSP: it takes"),
        ("+margin.alpha=1", "choose margin=informed or margin=noise"),
        ("+proj.x=1", "proj.x is unknown to Std: it takes nothing"),
        ("proj=none +proj.x=1", "proj=none has nothing to set"),
        ("margin=noise +margin.alfa=1", "Did you mean margin.alpha?"),
        ("+optimizer.learning_rate=1", "optimizer.learning_rate is unknown to Adam"),
        ("+optimizer.params=1", "optimizer.params would be ignored: the run sets it itself"),
        ("+task.seed=1", "task.seed would be ignored: the run sets it itself"),
        ("+task.layer=1", "task.layer would be ignored"),
        ("+task.pixel=raw", "Did you mean task.pixels?"),
        ("+loss.x=1", "loss.x is unknown to Hamming"),
        ("+trainer.logger=true", "trainer.logger would be ignored"),
        ("+trainer.callbacks=[]", "trainer.callbacks would be ignored"),
        ("+trainer.default_root_dir=x", "trainer.default_root_dir would be ignored"),
        ("+trainer.epochs=1", "trainer.epochs is unknown to Trainer"),
        ("+logger.csv.x=1", "logger.csv.x is unknown to CSVLogger"),
        ("+logger.x=1", "logger.x is 1, which is no option"),
        ("logger=wandb +logger.wandb.note=x", "Did you mean logger.wandb.notes?"),
        (
            "logger=tensorboard +logger.tensorboard.x=1",
            "x is unknown to TensorBoardLogger",
        ),
        ("+callbacks.mine.patience=1", "callbacks.mine.patience would be ignored"),
        ("+callbacks.progress.metrics=1", "Did you mean callbacks.progress.metric?"),
        ("schedule=null +schedule.at=[1]", "schedule.at would be ignored"),
        ("solver=from_function solver.f.path=math.sqrt +solver.f.x=1", "solver.f.x is unknown"),
        ("solver=from_function", "solver.f.path has no value and needs one"),
        ("model._target_=combgrad.networks.Nothing", "model._target_ is"),
        ("seeds=3", "seeds=3 is for sweeps: python train.py -m seeds=3 ..."),
        ("++dry=true", "dry=true is for sweeps: python train.py -m dry=true ..."),
        ("rerun=true", "rerun=true is for sweeps"),
        ("mode=test", "mode=test needs a checkpoint; write checkpoint=<file>"),
        ("checkpoint=x.ckpt", "checkpoint would be ignored: mode=test reads it"),
        ("mode=test checkpoint=x resume=true", "leave out resume=true"),
        ("mode=test checkpoint=x debug=fast", "leave out debug=fast"),
        ("debug=fast resume=true", "neither resumes a run nor can be resumed"),
        ("debug=fast trainer.max_epochs=3", "Set debug.epochs instead"),
        ("debug=fast debug.batches=0", "debug.batches is 0; it must be a whole number"),
        ("debug=fast +debug.x=1", "debug.x=1 would be ignored"),
    ],
)
def test_what_no_run_would_read_is_refused_in_one_line(words, message):
    with pytest.raises(ConfigurationError) as caught:
        compose(words.split())
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "words",
    [
        "corruption.label_rho=0.3",
        "experiment=warcraft12 corruption.label_rho=0",
        "experiment=warcraft12 tuned=warcraft_original",
        "~tuned",
        "margin=noise margin_until=3",
        "budget.paper.epochs=3 profile=paper",
        "experiment=dvae noise=gumbel",
        "+task.epoch_metrics_every=2",
        "logger=wandb +logger.wandb.notes=x +logger.wandb.resume=allow",
        "logger=tensorboard +logger.tensorboard.max_queue=5",
        "+trainer.gradient_clip_val=1.0",
        "+callbacks.x={_target_:pytorch_lightning.callbacks.LearningRateMonitor}",
        "optimizer._target_=torch.optim.SGD +optimizer.momentum=0.9",
        "+optimizer=sgd",
        "schedule=null",
        "grad=imle +grad.noise={_target_:combgrad.sampling.noise.Gumbel,tau:1.0}",
        "optimizer.lr=1",
        "optimizer.lr='${oc.decode:${oc.env:NOWHERE_SET,0.1}}'",
        "model.hidden=${data.batch_size}",
        "hydra.job.chdir=true",
        "logger=[csv,tensorboard] logger.csv.version=x",
        "debug=overfit debug.batches=null",
        "mode=test checkpoint=x.ckpt",
    ],
)
def test_what_a_run_reads_passes(words):
    assert compose(words.split()).seed == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("optimizer.lr=abc", "optimizer.lr is 'abc'; it must be a number."),
        ("seed=abc", "seed is 'abc'; it must be a whole number."),
        ("seed=1.5", "seed is 1.5; it must be a whole number."),
        ("seed=true", "seed is True; it must be a whole number."),
        ("margin=noise margin.alpha=high", "margin.alpha is 'high'; it must be a number."),
        ("corruption.gradient_sigma=abc", "corruption.gradient_sigma is 'abc'"),
        ("data.train_size=abc", "data.train_size is 'abc'; it must be a whole number."),
        ("data.train_size=1.5", "data.train_size is 1.5; it must be a whole number."),
        ("data.distance=euclid", "it must be chord or great_circle"),
        ("data.cities=abc", "data.cities is 'abc'"),
        ("grad=blackbox grad.lam=abc", "grad.lam is 'abc'; it must be a number."),
        ("grad=blackbox grad.lam=", "grad.lam is ''; it must be a number."),
        ("experiment=dvae solver.k=abc", "solver.k is 'abc'"),
        ("model.hidden=abc", "model.hidden is 'abc'"),
        (
            "trainer.max_epochs=abc",
            "trainer.max_epochs is 'abc'; it must be a whole number or null",
        ),
        ("schedule.at=0.5", "schedule.at is 0.5; it must be a list"),
        ("schedule.factor=abc", "schedule.factor is 'abc'"),
        ("callbacks.snapshots.at=0.5", "callbacks.snapshots.at is 0.5; it must be a list"),
        ("margin=noise margin.until=abc", "margin.until is 'abc'"),
        ("monitor.mode=up", "monitor.mode is 'up'; it must be min or max."),
        ("pictures=maybe", "pictures is 'maybe'; it must be true or false."),
        ("resume=yes", "resume is 'yes'; it must be true or false."),
        ("threads=two", "threads is 'two'; it must be a whole number."),
        ("mode=tset", "mode is 'tset'; it must be train or test."),
        ("debug=fast debug.same=maybe", "debug.same is 'maybe'"),
        ("logger=wandb logger.wandb.offline=maybe", "logger.wandb.offline is 'maybe'"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_by_its_key(words, message):
    with pytest.raises(ConfigurationError) as caught:
        compose(words.split())
    lines = str(caught.value).splitlines()
    assert any(message in line for line in lines)


def test_jobs_of_a_sweep_are_checked_before_any_starts():
    requests = [Request((f"experiment={name}", "corruption.label_rho=0.3"), None) for name in
                ("tsp5", "warcraft12", "dvae")]  # fmt: skip
    compose_lazily()
    with pytest.raises(InvalidJobsError, match="2 of 3 jobs cannot run") as caught:
        prepare(requests, compose_lazily)
    assert "corruption.label_rho=0.3 would be ignored" in str(caught.value)


def test_references_follow_names_inside_names_and_relative_ones():
    config = OmegaConf.create(
        {
            "a": {"b": "${.c}", "c": "x"},
            "d": "${e.${a.c}}",
            "e": {"x": 1},
            "f": "${oc.select:a.c,2}",
        }
    )
    assert references("${.c}", "a.b", config) == ["a.c"]
    assert references("${e.${a.c}}", "d", config) == ["a.c", "e.x"]
    assert references("${oc.select:a.c,2} and ${e[x]}", "f", config) == ["a.c", "e.x"]
    assert references("${oc.env:HOME}", "f", config) == []
    assert list(itertools.chain(AT_REST)) == ["corruption.label_rho"]


def test_what_is_wrong_within_a_module_of_ones_own_is_told(tmp_path, monkeypatch):
    package = tmp_path / "own_parts_of_mine"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "nets.py").write_text("import a_package_that_is_not_there\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ConfigurationError) as caught:
        compose(["+callbacks.mine={_target_:own_parts_of_mine.nets.Net}"])
    assert "own_parts_of_mine.nets.Net', which cannot be imported: No module named" in str(
        caught.value
    )
    assert "'a_package_that_is_not_there'" in str(caught.value)
    with pytest.raises(ConfigurationError, match="has no attribute 'net'"):
        compose(["+callbacks.mine={_target_:own_parts_of_mine.net}"])
