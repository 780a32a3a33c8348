"""The comments that `--help` shows are those of the files, at the keys that they stand at."""

import yaml
from omegaconf import OmegaConf

from combgrad.runs.checks import without_hydra
from combgrad.runs.commented import Comment, commented, comments_in, with_comments
from combgrad.runs.configuration import compose_lazily

TEXT = """\
# @package _global_
# Of the first key,
# in two lines.
a: 1   # one
text: "no # comment"  # said
list: [1, 2]   # short
plain: of#words

# Lost, as no key follows.

deep:          # a part
  # Inside.
  b:
  c: |  # none of it
    d: 2  # no key
long:
  - e: 3  # in a list
"""


def test_a_comment_belongs_to_the_key_beside_it_or_below_it():
    assert comments_in(TEXT) == {
        ("a",): Comment(("# Of the first key,", "# in two lines."), "one"),
        ("text",): Comment((), "said"),
        ("list",): Comment((), "short"),
        ("deep",): Comment((), "a part"),
        ("deep", "b"): Comment(("# Inside.",), ""),
    }
    assert comments_in("") == comments_in("# nothing\n") == {}


def test_comments_come_to_their_keys_and_change_no_value():
    values = {
        "deep": {"b": None, "z": "of words " * 20, "c": "two\nlines\n"},
        "list": [1, 2],
        "a": {"a": 1},
        "text": "#",
    }
    bare = OmegaConf.to_yaml(OmegaConf.create(values))
    more = {("deep", name): Comment((f"# Over {name}.",), f"beside {name}") for name in "zc"}
    shown = with_comments(bare, comments_in(TEXT) | more)
    assert yaml.safe_load(shown) == values
    for line in (
        "deep:  # a part",
        "  # Inside.\n  b: null\n",
        "  # Over z.\n  z: ",
        "\n# Of the first key,\n# in two lines.\na:  # one\n",
        "\ntext: '#'  # said\n",
    ):
        assert line in shown
    assert shown.count("beside z") == 1


def test_what_is_shown_is_the_configuration_with_the_comments_of_what_was_chosen():
    config = compose_lazily(["experiment=matching_willow", "margin=noise", "logger=csv"])
    shown = commented(config).replace("$$", "$")
    assert yaml.safe_load(shown) == OmegaConf.to_container(without_hydra(config), resolve=False)
    lines = [line.strip() for line in shown.splitlines()]
    for line in (
        "# Random noise on the costs while training.",  # configs/margin/noise.yaml
        "position: before  # before | after the projection",
        "# metrics.csv in the run's folder.",
        "collection:  # the set",  # key_point_pairs.yaml, which willow.yaml is made from
        "edge_weight: 0.0  # of a Hamming term of matched edges, see A-17",  # the task, _global_
    ):
        assert line in lines
    # What train.yaml says of a key goes before what a task says of its value.
    task = commented(compose_lazily([]))
    assert "margin_until: 0.5  # up to 1 a fraction of all epochs" in task
