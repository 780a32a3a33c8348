"""What a newcomer may type by mistake is answered in one line: what is wrong, where, the remedy."""

import pytest

from combgrad.files.writing import write_atomically
from combgrad.runs.command_line import in_order
from combgrad.runs.configuration import compose_lazily, resolved
from combgrad.runs.explanations import describe
from combgrad.runs.parts import build
from combgrad.sweeps.expansion import arranged
from loading import loaded


def answer(words: list[str], root) -> str:
    """What train.py would say, up to the point where a run would start."""
    try:
        words = arranged(in_order([f"paths.root='{root}'", *words]))
        config = compose_lazily(words)
        str(config.hydra.run.dir)
        build(resolved(config))
    except Exception as error:
        return describe(error, words)
    return ""


MISTAKES = {
    # Words
    "--experiment tsp5": "there is no option --experiment; write experiment=tsp5, without dashes.",
    "--experiment=tsp5": "write experiment=tsp5, without dashes",
    "-experiment tsp5": "write experiment=tsp5, without dashes",
    "--multi-run seed=0,1": "Did you mean --multirun?",
    "--cfg": "--cfg needs a value: job, hydra or all.",
    "experiment tsp5": "'experiment' has no '='; write experiment=tsp5.",
    "experiment = tsp5": "write experiment=tsp5, without blanks around the '='",
    "experiment =tsp5": "write experiment=tsp5, without blanks around the '='",
    "experiment= tsp5": "'tsp5' has no '='",
    "=tsp5": "has no key before its '='",
    "margin.alpha": "'margin.alpha' has no '='; write margin.alpha=<value>.",
    "\u2014experiment=tsp5": "begins with a typographic dash; write experiment=tsp5.",
    "\u2013m seed=0,1": "begins with a typographic dash; write -m.",
    "seed=0,1": "add -m for a sweep (python train.py -m seed=0,1 ...), or write seed=[0,1]",
    "proj=std,mean": "add -m for a sweep",
    "paths.root=~/exp": "put what has special characters in quotes: \"paths.root='~/exp'\"",
    "experiment=tsp5)": "cannot be read; put what has special characters in quotes",
    "-m experiment=tsp5)": "experiment=tsp5) cannot be read; put what has special characters in",
    "table=6": "python train.py -m table=6",
    # Options
    "experiment=tsp7": "Did you mean experiment=tsp5? There are ... by: python train.py --help",
    "experiment=": "there is no experiment=.",
    "grad=banana": "there is no grad=banana. There are: adaptive_imle,",
    "grad=glob(*)": "grad=glob(*) chooses options for a sweep",
    "grad=[identity]": "grad",
    "grad='black box'": "Did you mean grad=blackbox?",
    "data=globe": "Did you mean data=globe_tsp?",
    "profile=full": "There are: paper, reduced, smoke.",
    "tuned=globe_tsp_blackbocks": "Did you mean tuned=globe_tsp_blackbox?",
    "tuned=null": "there is no tuned=null. There are: ... Write ~tuned to leave the group out.",
    "margin=null": "there is no margin=null. There are: informed, noise, none.",
    "monitor.metric=???": "monitor.metric has no value and needs one; write monitor.metric=<value>",
    "debug=true": "there is no debug=true. There are: fast, none, overfit, profiler.",
    "paths.root=null": "paths.root is None; it must be",
    "paths.results=null": "paths.results is None; it must be",
    "~margin": "~margin: no run goes without this group; write margin=none instead.",
    "~grad": "~grad: no run goes without this group; write grad=<option> instead.",
    "profile=5": "there is no profile=5. There are: paper, reduced, smoke.",
    "gradient=identity": "Did you mean grad?",
    "expriment=tsp5": "Did you mean experiment?",
    "choices.grad=blackbox": "What was chosen is noted there; write grad=<option>.",
    "noise=gumbel": "The chosen experiment has no noise, only those of task=dvae or task=l2x have;",
    "optimizer=adam": "write +optimizer=<option> to put one of adam, sgd in its place",
    "method=identity": "Did you mean grad?",
    # Keys
    "lr=0.1": "unknown key 'lr'. Did you mean optimizer.lr?",
    "epochs=3": "unknown key 'epochs'. Did you mean trainer.max_epochs?",
    "batch_size=10": "Did you mean data.batch_size?",
    "hidden=10": "Did you mean model.hidden?",
    "lam=10 grad=blackbox": "Did you mean grad.lam?",
    "alpha=0.2": "Did you mean ... margin.alpha (with margin=informed or margin=noise)?",
    "aspect=aroma": "aspect (with task=l2x)",
    "size=1000": "size has parts, such as size.train_size, and is no value ... set data.train_size",
    "size.epochs=3": "set trainer.max_epochs or budget.reduced.epochs instead",
    "size.train_size=3": "set data.train_size or budget.reduced.train_size instead",
    "grad.lam=-1": "'grad' (grad=identity) has no keys; choose grad= ... or grad=imle ... first.",
    "margin.alpha=0.1": "choose margin=informed or margin=noise ... first",
    "solver.k=1000": "; choose ... solver=topk ... first",
    "task.epoch_metrics_every=2": "write +task.epoch_metrics_every=<value>",
    "grad=blackbox grad.lamda=1": "Did you mean grad.lam?",
    "optimizer.learning_rate=1": "'optimizer' has",
    # Values
    "optimizer.lr=abc": "optimizer.lr is 'abc'; it must be a number.",
    "optimizer.lr=-1": "optimizer.lr=-1",
    "seed=abc": "seed is 'abc'; it must be a whole number.",
    "margin=noise margin.alpha=high": "margin.alpha is 'high'; it must be a number.",
    "data.train_size=abc": "data.train_size is 'abc'; it must be a whole number.",
    "data.cities=0": "data.cities is 0",
    "grad=blackbox grad.lam=-1": "grad.lam is -1",
    "grad=blackbox grad.lam=": "grad.lam is ''; it must be a number.",
    "loss=fenchel_young loss.sigma=0": "loss.sigma is 0; it must be",
    "loss=fenchel_young loss.samples=0": "loss.samples is 0; it must be",
    "loss=score_function loss.sigma=-1": "loss.sigma is -1; it must be",
    "loss=score_function loss.samples=0": "loss.samples is 0; it must be",
    "loss=score_function baseline=false": "Did you mean loss.baseline?",
    "experiment=dvae solver.k=1000": "noise.k is 1000",
    "experiment=dvae data.split=70": "data.split is 70",
    "trainer.devices=two": "trainer",
    "trainer=gpu": "trainer",
    "+logger.wandb.notes=${oc.env:NOWHERE_SET}": "logger.wandb.notes takes its value",
    "pictures=maybe": "pictures is 'maybe'; it must be true or false.",
    "model.hidden=0": "model.hidden is 0",
    "optimizer._target_=torch.optim.Adamm": "optimizer._target_ is 'torch.optim.Adamm'",
    "seed=${oc.env:NOWHERE_SET}": "seed takes its value from the environment variable NOWHERE_SET",
    "schedule.at=[80]": "schedule.at is [80]; give fractions of the training from 0 to 1, such as",
    "solver=of_data": "solver.collection takes its value from data.collection ... another data, or",
    "task._partial_=false": "task would be built before the run can give it layer, ",
    # Parts that do not fit
    "experiment=tsp5 data=mnist": "task.distance takes its value from data.distance",
    "experiment=tsp5 model=dvae": "DVAE",
    "experiment=warcraft12 model=dvae": "DVAE has no forward",
    "experiment=dvae model=globe_net": "GlobeNet",
    "experiment=l2x_k5 model=globe_net": "GlobeNet",
    "experiment=tsp5 model=l2x": "L2XNet",
    "solver=topk": "choose solver=tsp",
    "experiment=warcraft12 data=mnist": "data",
    "experiment=warcraft12 data=globe_tsp data.cities=5": "",
    "data._target_=torch.nn.Identity": "data",
    "callbacks=none": "There are: default.",
}


@pytest.mark.parametrize(("typed", "message"), MISTAKES.items())
def test_a_mistake_is_answered_in_one_line_with_the_remedy(typed, message, tmp_path):
    words = ["grad='black box'"] if "black box" in typed else typed.split()
    said = answer(words, tmp_path)
    # Three dots stand for options that may be added.
    assert all(part in said for part in message.split(" ... "))
    assert said
    assert "\n" not in said
    assert len(said) < 420
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("word", "remedy"),
    [
        ("grad.lam=5,10 grad=blackbox", "write them apart: grad.lam=5,10 grad=blackbox."),
        ("'grad.lam=5,10 grad=blackbox'", "write them apart: grad.lam=5,10 grad=blackbox."),
        ("grad.lam=5  grad=blackbox", "write them apart: grad.lam=5 grad=blackbox."),
        ("grad.lam=it's", "\"grad.lam='it\\'s'\"."),
    ],
)
@pytest.mark.parametrize("sweep", [[], ["-m"]], ids=["one run", "a sweep"])
def test_quotes_in_the_wrong_place_are_answered_with_the_right_ones(sweep, word, remedy, tmp_path):
    said = answer([*sweep, word], tmp_path)
    assert said.startswith(word)
    assert said.endswith(remedy)


def test_a_value_in_quotes_may_look_like_several_words():
    assert arranged(in_order(["+note='a b=c'"])) == ["+note='a b=c'"]


def test_an_unforeseen_error_is_placed_in_our_code_whatever_folder_it_was_installed_in(tmp_path):
    package = tmp_path / "combgrad" / "site-packages" / "elsewhere.py"
    package.parent.mkdir(parents=True)
    package.write_text("def fail(*_):\n    raise AttributeError('broken')\n")
    with pytest.raises(AttributeError) as caught:
        write_atomically(tmp_path / "file", loaded(package).fail)
    assert "AttributeError: broken (src/combgrad/files/writing.py, line " in describe(
        caught.value, []
    )


def test_an_unforeseen_error_in_a_part_of_ones_own_is_placed_there(tmp_path):
    mine = tmp_path / "mine.py"
    mine.write_text("import json\n\n\ndef fail(path):\n    json.loads(path)\n")
    with pytest.raises(TypeError) as caught:
        write_atomically(tmp_path / "file", loaded(mine).fail)
    assert describe(caught.value, []).endswith("mine.py, line 5, in fail)")
