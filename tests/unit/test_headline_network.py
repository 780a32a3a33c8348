"""The network of headlines against plain loops, and beam search against all sequences."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from combgrad.networks.beam_search import beam_search
from combgrad.networks.headline import (
    BEGIN,
    END,
    PAD,
    HeadlineNet,
    expected_word,
    likeliest_word,
    sampled_word,
)


def net(cell="gru"):
    torch.manual_seed(0)
    made = HeadlineNet(title_words=6, article_words=5, embedding=4, hidden=3, cell=cell)
    return made.double().eval()


ARTICLE = torch.tensor([[5, 9, 11, 4, 7], [6, 6, 12, PAD, PAD], [13, PAD, PAD, PAD, PAD]])
SIZE = torch.tensor([5, 3, 1])


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_an_instance_in_a_batch_is_as_if_alone(cell):
    made = net(cell)
    steps = torch.tensor([2, 4, 3])
    found, instance, position = made.unroll(ARTICLE, SIZE, steps, expected_word)
    assert found.shape == (9, 10)
    torch.testing.assert_close(found.exp().sum(1), torch.ones(9).double())
    pairs = set(zip(instance.tolist(), position.tolist(), strict=True))
    assert pairs == {(b, i) for b, count in enumerate(steps.tolist()) for i in range(count)}
    for row in range(3):
        alone = made.unroll(
            ARTICLE[row : row + 1, : SIZE[row]], SIZE[row : row + 1], steps[row : row + 1],
            expected_word,
        )  # fmt: skip
        mine = instance == row
        assert position[mine].tolist() == alone[2].tolist() == list(range(int(steps[row])))
        torch.testing.assert_close(found[mine], alone[0])


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_the_decoder_is_that_of_luong_with_what_was_fed_back(cell):
    """One article, word by word with torch's own cells."""
    made = net(cell)
    words = made.words(ARTICLE[0])
    outputs, last = made.encoder(words[None])
    values = made.values(outputs[0])
    ends = last[0] if cell == "lstm" else last
    hidden = torch.tanh(made.start(torch.cat([ends[0, 0], ends[1, 0]])))
    memory, answer = torch.zeros(3).double(), torch.zeros(3).double()
    word, expected = made.words.weight[BEGIN], []
    for _ in range(3):
        given = torch.cat([word, answer])[None]
        if cell == "lstm":
            new = made.decoder(given, (hidden[None], memory[None]))
            hidden, memory = new[0][0], new[1][0]
        else:
            hidden = made.decoder(given, hidden[None])[0]
        scores = torch.stack([value @ made.score(hidden) for value in values])
        context = sum(w * value for w, value in zip(scores.softmax(0), values, strict=True))
        answer = torch.tanh(made.answer(torch.cat([context, hidden])))
        logits = made.words.weight[:10] @ made.output(answer) + made.bias
        expected.append(logits.log_softmax(0))
        word = logits.softmax(0) @ made.words.weight[:10]
    found, _, _ = made.unroll(ARTICLE[:1], SIZE[:1], torch.tensor([3]), expected_word)
    torch.testing.assert_close(found, torch.stack(expected))


def test_what_is_fed_back_passes_the_gradient_on_or_not():
    logits = torch.randn(4, 6, dtype=torch.float64, generator=torch.manual_seed(2))
    logits.requires_grad_()
    torch.manual_seed(1)
    sampled = sampled_word(logits, 0.7)
    torch.manual_seed(1)
    noise = -torch.empty_like(logits).exponential_().log()
    soft = ((logits + noise) / 0.7).softmax(1)
    assert torch.equal(sampled.argmax(1), soft.argmax(1))
    assert sorted(sampled.detach().flatten().tolist()) == [0.0] * 20 + [1.0] * 4
    weights = torch.arange(24.0).view(4, 6).double().square()
    found, expected = (torch.autograd.grad((y * weights).sum(), logits)[0] for y in (sampled, soft))
    torch.testing.assert_close(found, expected)
    assert torch.equal(likeliest_word(logits).argmax(1), logits.argmax(1))
    assert not likeliest_word(logits).requires_grad


def test_a_word_of_a_later_position_teaches_what_was_fed_back():
    made = net()
    steps = torch.tensor([2])
    found, _, position = made.unroll(ARTICLE[:1], SIZE[:1], steps, expected_word)
    (gradient,) = torch.autograd.grad(found[position == 1, 5].sum(), made.bias)
    # Position 0 has no other way to the bias of word 7 than by what is fed back.
    with torch.no_grad():
        before = made.unroll(ARTICLE[:1], SIZE[:1], steps, expected_word)[0][1, 5]
        made.bias[7] += 1e-6
        after = made.unroll(ARTICLE[:1], SIZE[:1], steps, expected_word)[0][1, 5]
    assert float(gradient[7]) == pytest.approx(float((after - before) / 1e-6), rel=1e-4)


def test_another_cell_is_refused():
    with pytest.raises(ValueError, match=r"model\.cell is 'rnn'; choose 'gru' or 'lstm'"):
        HeadlineNet(3, 3, cell="rnn")


def bigrams(seed, words):
    """A step whose next word depends on the last two, by a table of random numbers."""
    table = torch.randn(2, words, words, words, generator=torch.Generator().manual_seed(seed))
    table = (2 * table).double().log_softmax(3)

    def step(state, word):
        which, before = state
        return table[which, before, word], (which, word)

    return step, table


def score(table, which, sentence, power):
    before, last, total = BEGIN, BEGIN, 0.0
    for word in sentence:
        total += float(table[which, before, last, word])
        before, last = last, word
    return total / len(sentence) ** power


def sentences(words, longest, never):
    """All that end with END, or are as long as can be."""
    others = [word for word in range(words) if word != END and word not in never]
    for length in range(longest):
        for start in itertools.product(others, repeat=length):
            yield (*start, END)
    yield from itertools.product(others, repeat=longest)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.integers(1, 3), st.sampled_from([0.0, 0.7, 1.0]), st.booleans())
def test_a_wide_beam_finds_the_best_of_all_sequences(seed, longest, power, some_never):
    words, never = 5, [PAD] if some_never else []
    step, table = bigrams(seed, words)
    start = (torch.tensor([0, 1]), torch.full((2,), BEGIN))
    found = beam_search(step, start, BEGIN, END, words**longest, longest, power, never)
    assert found.shape == (2, longest)
    for which in (0, 1):
        every = sentences(words, longest, never)
        best = max(every, key=lambda sentence: score(table, which, sentence, power))
        ids = found[which].tolist()
        length = ids.index(END) + 1 if END in ids else longest
        assert tuple(ids[:length]) == best
        assert ids[length:] == [END] * (longest - length)


def test_a_beam_of_one_takes_the_likeliest_word_each_time():
    step, table = bigrams(3, 9)
    found = beam_search(step, (torch.tensor([0]), torch.tensor([BEGIN])), BEGIN, END, 1, 6)
    before, last, expected = BEGIN, BEGIN, []
    while len(expected) < 6 and last != END:
        before, last = last, int(table[0, before, last].argmax())
        expected.append(last)
    assert found[0].tolist() == expected + [END] * (6 - len(expected))


def test_a_wider_beam_is_no_worse_here_and_an_instance_does_not_depend_on_its_batch():
    step, table = bigrams(11, 12)
    both = (torch.tensor([0, 1]), torch.full((2,), BEGIN))
    scores = []
    for width in (1, 3, 12):
        found = beam_search(step, both, BEGIN, END, width, 5)
        alone = [beam_search(step, (w[None], b[None]), BEGIN, END, width, 5)[0]
                 for w, b in zip(*both, strict=True)]  # fmt: skip
        assert torch.equal(found, torch.stack(alone))
        ids = found[0].tolist()
        scores.append(score(table, 0, ids[: ids.index(END) + 1 if END in ids else 5], 0.0))
    assert scores == sorted(scores)
    assert math.isfinite(scores[0])
    assert isinstance(net(), nn.Module)
