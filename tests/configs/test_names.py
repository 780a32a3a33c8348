"""What a run is called: its choices, and whatever else tells it from others of the same choices."""

import json

import pytest

from combgrad.results.fields import NAME
from combgrad.runs import configuration
from combgrad.runs.configuration import CONFIG_FOLDER, compose, run_folder, run_name
from combgrad.runs.distinctions import differing, flat, labels, shortened


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("", "tsp5-identity-std-none-reduced-seed0"),
        ("grad=blackbox grad.lam=5", "tsp5-blackbox-std-none-lam5-reduced-seed0"),
        ("grad=blackbox optimizer.lr=1e-3 seed=2", "tsp5-blackbox-std-none-lr0.001-reduced-seed2"),
        # What says what is usual anyway, or nothing about the result, is not in the name.
        ("grad=blackbox grad.lam=20 optimizer.lr=1e-4", "tsp5-blackbox-std-none-reduced-seed0"),
        ("logger=none trainer=cpu data.cache=/x", "tsp5-identity-std-none-reduced-seed0"),
        ("margin=noise margin.until=0.3", "tsp5-identity-std-noise0.1-until0.3-reduced-seed0"),
        # One change, though much follows from it.
        (
            "data.distance=great_circle",
            "tsp5-identity-std-none-distance_great_circle-reduced-seed0",
        ),
        ("budget.reduced.epochs=4", "tsp5-identity-std-none-epochs4-custom-seed0"),
        ("++budget.reduced.epochs=4", "tsp5-identity-std-none-epochs4-custom-seed0"),
        ("trainer.max_epochs=4", "tsp5-identity-std-none-max_epochs4-custom-seed0"),
        (
            "data.train_size=9 data.seed=7",
            "tsp5-identity-std-none-train_size9-data.seed7-custom-seed0",
        ),
        ("solver=gurobi_tsp trainer=bf16", "tsp5-identity-std-none-bf16-gurobi_tsp-reduced-seed0"),
        ("~schedule", "tsp5-identity-std-none-no_schedule-reduced-seed0"),
        (
            "experiment=dvae data=mnist optimizer=sgd optimizer.lr=0.01",
            "dvae-identity-std-none-sgd-mnist-lr0.01-reduced-seed0",
        ),
        (
            "experiment=dvae +optimizer.betas=[0.5,0.9]",
            "dvae-identity-std-none-betas_0.5,0.9-reduced-seed0",
        ),
        ("experiment=l2x_k5 aspect=palate", "l2x_k5-identity-std-none-aspect_palate-reduced-seed0"),
        (
            "+callbacks.mine={_target_:pytorch_lightning.callbacks.Timer,duration:01:00:00:00}",
            "tsp5-identity-std-none-pytorch_lightning.callbacks.Timer-duration_01_00_00_00"
            "-reduced-seed0",
        ),
    ],
)
def test_a_name_tells_what_is_not_usual(words, name):
    config = compose(words.split())
    assert config.name == run_name(config) == name
    assert run_folder(config).startswith(f"{name}-")


def test_jobs_of_a_sweep_over_any_values_have_names_of_their_own():
    words = [
        f"grad=blackbox grad.lam={lam} optimizer.lr={rate}"
        for lam in (5, 10, 20)
        for rate in (1e-4, 1e-3)
    ]
    assert len({compose(word.split()).name for word in words}) == 6


def test_an_option_without_a_usual_form_is_named_by_its_words():
    config = compose(["solver=knapsack", "solver.weights=[1,2]", "solver.capacity=3"])
    assert "solver.capacity_3" in config.name


def test_what_is_usual_is_composed_once_for_all_seeds_and_values():
    compose(["grad.lam=3", "grad=blackbox"])
    before = configuration._usual.cache_info().misses
    for seed in range(3):
        compose([f"grad.lam={seed + 4}", "grad=blackbox", f"seed={seed}"])
    assert configuration._usual.cache_info().misses == before


def test_flat_keys_and_their_differences():
    usual = flat({"a": {"b": 1, "c": {"d": [1, 2]}}, "e": {"f": 1}, "g": 2})
    assert usual == {"a.b": 1, "a.c.d": [1, 2], "e.f": 1, "g": 2}
    asked = flat({"a": {"b": 2, "c": {}}, "g": 2, "h": {"b": "x y/z"}})
    assert differing(asked, usual, told=()) == {"a.b": 2, "h.b": "x y/z", "a.c": None, "e": None}
    assert differing(asked, usual, told=("a", "h.b")) == {"e": None}
    assert labels(differing(asked, usual, told=())) == ["a.b2", "h.b_x_y_z", "no_c", "no_e"]


def test_a_long_name_is_cut():
    assert shortened("a" * 120) == "a" * 120
    assert shortened("a" * 121) == "a" * 120 + "..."


def test_a_record_can_have_the_name_of_any_run():
    words = (
        "experiment=pto_shortest_path grad=straight_through loss=hamming margin=noise "
        "margin.alpha=0.25 corruption.gradient_sigma=0.25 optimizer.lr=0.0123 "
        "+optimizer.weight_decay=0.0001 data.collection.deg=6 data.collection.noise_width=0.25 "
        "data.train_size=333 data.batch_size=19 trainer.max_epochs=11 seed=20261128 "
        "+task.epoch_metrics_every=3 +trainer.gradient_clip_val=1.0"
    )
    name = compose(words.split()).name
    assert len(name) > 200
    assert NAME.fullmatch(name)


def test_committed_records_keep_the_names_they_have():
    for path in (CONFIG_FOLDER.parent / "results" / "runs").glob("*.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        assert path.name.startswith(f"{record['name']}-")
        assert path.stem.removeprefix(f"{record['name']}-")
