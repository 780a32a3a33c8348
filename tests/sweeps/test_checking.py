"""What a sweep refuses before its first job, and how it says so."""

import shlex

import pytest
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from combgrad.runs.configuration import CONFIG_FOLDER, compose_lazily
from combgrad.sweeps.checking import InvalidJobsError, prepare
from combgrad.sweeps.expansion import Request


@pytest.fixture(autouse=True)
def composed():
    """What is left of the sweep's own composition when jobs are checked."""
    compose_lazily()
    yield
    HydraConfig.instance().cfg = None


def asked(*words):
    return Request(("experiment=tsp5", "profile=smoke", *words), None)


def refusal(found) -> str:
    with pytest.raises(InvalidJobsError) as caught:
        prepare(found, compose_lazily)
    return str(caught.value)


def test_a_value_that_the_clock_decides_is_refused_and_named():
    for word in (
        "data.seed='${oc.decode:${now:1%H%M%S}}'",
        "seed='${oc.decode:${now:%Y}}'",
        "optimizer.lr='${oc.decode:${now:0.1%d}}'",
    ):
        text = refusal([asked("data.cities=6"), asked(word)])
        key = word.partition("=")[0]
        assert text.startswith("1 of 2 jobs cannot run, and none was started: ")
        assert key in text
        assert "depends on the time it is read at, so that no run could be found again" in text
    # The clock is Hydra's own again, and what is no science may follow it.
    assert OmegaConf.create({"a": "${now:%Y}"}).a.startswith("20")
    (job,) = prepare([asked("paths.outputs=out/${now:%Y}")], compose_lazily)
    assert job.config.seed == 0


def test_every_reason_is_said_once_with_its_number_of_jobs():
    found = [asked(f"seed={seed}", "proj=mean", "solver=shortest_path") for seed in range(3)]
    text = refusal([*found, asked("grad.lamda=3"), asked("seed=1")])
    assert text.startswith("4 of 5 jobs cannot run, and none was started: \n")
    _, first, second = text.splitlines()
    assert "(3 jobs, such as experiment=tsp5 profile=smoke seed=0" in first
    assert "unknown key 'grad.lamda'" in second
    assert second.endswith("(1 job, such as experiment=tsp5 profile=smoke grad.lamda=3)")


def test_one_fault_of_all_jobs_is_told_without_a_look_at_all_of_them():
    text = refusal([asked(f"seed={seed}", "epochs=3") for seed in range(12)])
    start = "the first 10 of 12 jobs cannot run, no other was checked, and none was started: "
    assert text.startswith(f"{start}unknown key 'epochs'.")
    found = [asked(f"seed={seed}", "epochs=3") for seed in range(11)]
    assert refusal([asked("seed=11"), *found]).startswith("11 of 12 jobs cannot run")


def test_the_words_of_a_refused_job_can_be_pasted_into_a_shell():
    text = refusal([asked("data.path=/a\\ b\\,c", "data.source=original", "proj=mean")])
    words = shlex.split(text.rpartition(", such as ")[2].removesuffix(")"))
    assert words[2:] == ["data.path=/a\\ b\\,c", "data.source=original", "proj=mean"]


def test_options_that_are_not_there_are_refused_in_one_line_before_a_job_is_composed():
    jobs = [f"experiment={name}" for name in ("tsp11", "tsp11", "cup", "tsp5")]
    found = [asked(job, f"seed={seed}") for seed, job in enumerate(jobs)]

    def never(_):
        raise AssertionError("a job was composed")

    with pytest.raises(InvalidJobsError) as caught:
        prepare(found, never)
    experiments = len(list((CONFIG_FOLDER / "experiment").glob("*.yaml")))
    assert str(caught.value) == (
        "3 of 4 jobs cannot run, and none was started: "
        "there is no experiment=tsp11,cup. Did you mean experiment=tsp10,cub? "
        f"There are {experiments}, listed by: python train.py --help (3 jobs)"
    )


def test_every_group_that_lacks_options_has_a_line():
    text = refusal([asked("grad=blakbox", "logger=[csv,none]"), asked("logger=[csv,tensorbord]")])
    head, grad, logger = text.splitlines()
    assert head == "2 of 2 jobs cannot run, and none was started: "
    assert "no grad=blakbox. Did you mean grad=blackbox? There are: adaptive_imle, " in grad
    assert "no logger=tensorbord. Did you mean logger=tensorboard? There are: csv, none" in logger
    assert [line.endswith(" (1 job)") for line in (grad, logger)] == [True, True]
    # One that no job has by itself is found when the job that has it is composed.
    said = refusal([asked("experiment=dvae", "noise=gumble")])
    assert "there is no noise=gumble. Did you mean noise=gumbel? There are: dvae, gumbel" in said


def test_a_job_with_settings_that_no_run_can_have_is_refused():
    text = refusal([asked("trainer=ddp", "+trainer.num_nodes=2")])
    assert "the processes of a run are on one machine" in text
    assert "seed is 1.5" in refusal([asked("seed=1.5")])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("experiment=dvae", "margin=informed"), "InformedMargin of DVAE needs true solutions"),
        (("experiment=dvae", "loss=spo_plus"), "DVAE has a loss of its own"),
        (("experiment=l2x_k5", "loss=hamming"), "L2X has a loss of its own"),
        (("experiment=tsp5", "loss=none"), "GlobeTSP has no loss of its own"),
        (("experiment=tsp5", "loss=fenchel_young", "grad=blackbox"), "Blackbox would be ignored"),
        (("experiment=warcraft12_direct", "loss=spo_plus"), "WarcraftDirect has a loss of its own"),
        (
            ("experiment=matching", "loss=pairwise_ranking"),
            "PairwiseRanking of Matching needs true costs, and there are none here",
        ),
        (("experiment=tsp5", "loss=contrastive_map", "grad=imle"), "IMLE would be ignored"),
        (("experiment=tsp5", "optimizer.lr=-1"), "no optimizer can be made with"),
    ],
)
def test_what_no_experiment_can_train_is_refused_before_the_first_job(words, message):
    with pytest.raises(InvalidJobsError, match="1 of 2 jobs cannot run") as caught:
        prepare([asked("experiment=tsp5", "seed=1"), asked(*words)], compose_lazily)
    assert message in str(caught.value)
