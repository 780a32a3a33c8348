"""Rankings of methods, beside the numbers that Demšar (JMLR 2006) printed."""

import math
from itertools import combinations

import pytest
from scipy.stats import friedmanchisquare, wilcoxon

from combgrad.results.ranking import holm, of_all_tasks, rank

#: Table 6 there: areas under the curve of C4.5, with m, with cf, with both, on 14 data sets.
#: (0.9751 is printed as 0.975, with the ranks 2 and 3.)
AREAS = [
    (0.763, 0.768, 0.771, 0.798), (0.599, 0.591, 0.590, 0.569), (0.954, 0.971, 0.968, 0.967),
    (0.628, 0.661, 0.654, 0.657), (0.882, 0.888, 0.886, 0.898), (0.936, 0.931, 0.916, 0.931),
    (0.661, 0.668, 0.609, 0.685), (0.583, 0.583, 0.563, 0.625), (0.775, 0.838, 0.866, 0.875),
    (1.000, 1.000, 1.000, 1.000), (0.940, 0.962, 0.965, 0.962), (0.619, 0.666, 0.614, 0.669),
    (0.972, 0.981, 0.9751, 0.975), (0.957, 0.978, 0.946, 0.970),
]  # fmt: skip
NAMES = ["C4.5", "C4.5+m", "C4.5+cf", "C4.5+m+cf"]
BLOCKS = {(f"set {i}", 0): dict(zip(NAMES, row, strict=True)) for i, row in enumerate(AREAS)}


def test_mean_ranks_and_critical_difference_are_the_printed_ones():
    found = rank(BLOCKS, "max")
    assert found.methods == (NAMES[3], NAMES[1], NAMES[2], NAMES[0])
    assert [round(place, 3) for place in found.ranks] == [1.964, 2.0, 2.893, 3.143]
    assert found.distance == pytest.approx(1.25, abs=0.005)
    assert found.blocks == 14
    assert found.friedman == friedmanchisquare(*zip(*AREAS, strict=True)).pvalue
    columns = list(zip(*AREAS, strict=True))
    tests = {(a, b): wilcoxon(columns[a], columns[b]).pvalue for a, b in combinations(range(4), 2)}
    raised = dict(zip(tests, holm(tests.values()), strict=True))
    assert found.beside_best == (raised[1, 3], raised[2, 3], raised[0, 3])


def test_the_best_is_chosen_by_the_same_blocks_so_that_all_pairs_of_methods_are_corrected_for():
    rows = [{name: place + 0.1 * block for place, name in enumerate("abcd")} for block in range(8)]
    found = rank({(str(block), 0): row for block, row in enumerate(rows)}, "min")
    # Eight pairs of one sign have p = 2 / 2^8 each, times the six pairs of four methods.
    assert found.beside_best == pytest.approx((6 * 2 / 2**8,) * 3)


def test_the_least_is_best_where_the_metric_says_so():
    turned = {block: {m: -v for m, v in values.items()} for block, values in BLOCKS.items()}
    assert rank(turned, "min") == rank(BLOCKS, "max")


def test_a_block_without_a_number_of_every_method_does_not_count():
    more = {
        **BLOCKS,
        ("half", 0): {NAMES[0]: 0.5},
        ("diverged", 0): dict.fromkeys(NAMES, 0.5) | {NAMES[1]: math.nan},
    }
    assert rank(more, "max") == rank(BLOCKS, "max")


def test_equal_methods_share_the_middle_rank():
    same = {(str(i), 0): dict.fromkeys(NAMES, 1.0) for i in range(3)}
    found = rank(same, "max")
    assert (found.ranks, found.friedman, found.beside_best) == ((2.5,) * 4, 1.0, (1.0,) * 3)


def test_methods_that_lack_a_task_may_be_left_out_in_place_of_the_task():
    extra = {(task, seed): {**row, "half": 1.0} for (task, seed), row in BLOCKS.items()}
    extra["other", 0] = dict.fromkeys(NAMES, 0.5)
    blocks, lacking = of_all_tasks(extra)
    assert lacking == ["half"]
    assert blocks == {**BLOCKS, ("other", 0): dict.fromkeys(NAMES, 0.5)}
    assert (rank(extra, "max").blocks, rank(blocks, "max").blocks) == (14, 15)
    # One run of a task is enough to have it; a block without another is left out as ever.
    seeds = {**BLOCKS, ("set 0", 1): dict.fromkeys(NAMES[1:], 0.5)}
    assert of_all_tasks(seeds) == (seeds, [])
    assert rank(seeds, "max") == rank(BLOCKS, "max")


def test_too_little_is_not_ranked():
    assert rank(dict(list(BLOCKS.items())[:1]), "max") is None
    assert rank({b: dict(list(v.items())[:2]) for b, v in BLOCKS.items()}, "max") is None


def test_holm_multiplies_the_least_by_the_number_of_tests_and_keeps_the_order():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert holm([0.9, 0.6]) == (1.0, 1.0)
