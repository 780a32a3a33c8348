"""The networks of Learning to Explain against plain convolutions over the whole padded review."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import conv1d, linear, relu

from combgrad.networks.l2x import PAD, L2XNet, Selector, pack

DIMS, WIDTH, LENGTH, WORDS = 6, 5, 24, 30


def reviews(lengths, seed=0):
    """Tokens (B, LENGTH), padded at the front."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.full((len(lengths), LENGTH), PAD, dtype=torch.int32)
    for row, length in zip(tokens, lengths, strict=True):
        if length:
            row[-length:] = torch.randint(1, WORDS, (length,), generator=generator).int()
    return tokens


def vectors(seed=1):
    found = torch.randn(WORDS, DIMS, dtype=torch.float64, generator=torch.manual_seed(seed))
    found[PAD] = 0
    return found


def selector(seed=2):
    """With biases that are not zero, so that padding has features of its own."""
    torch.manual_seed(seed)
    made = Selector(DIMS, WIDTH).double().eval()
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if name.endswith("bias"):
                parameter.uniform_(-0.5, 0.5)
    return made


def plain(net, tokens, table):
    """The same network on all positions, padding and all."""

    def convolved(layer, x):
        return relu(conv1d(x, layer.weight, layer.bias, padding=1))

    words = convolved(net.first, table[tokens.long()].transpose(1, 2))
    local = convolved(net.third, convolved(net.second, words))
    overall = relu(linear(words.amax(dim=2), net.summary.weight, net.summary.bias))
    both = torch.cat([overall.unsqueeze(2).expand(-1, -1, LENGTH), local], dim=1).transpose(1, 2)
    mixed = relu(linear(both, net.mix.weight, net.mix.bias))
    return linear(mixed, net.score.weight, net.score.bias)[..., 0]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, LENGTH), min_size=1, max_size=6), st.integers(0, 1000))
def test_the_packed_line_gives_what_the_padded_reviews_give(lengths, seed):
    net, tokens, table = selector(), reviews(lengths, seed), vectors()
    weights = torch.randn(tokens.shape, dtype=torch.float64, generator=torch.manual_seed(seed))
    results = []
    for forward in (net, lambda tokens, table: plain(net, tokens, table)):
        net.zero_grad()
        logits = forward(tokens, table)
        (logits * weights).sum().backward()
        results.append([logits.detach(), *(p.grad.clone() for p in net.parameters())])
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected)


def test_a_long_padding_is_kept_once():
    packed = pack(reviews([3, LENGTH, 0]))
    # Three words and six pads, all words, six pads, and the gaps around them.
    assert len(packed.tokens) == 9 + LENGTH + 6 + 4
    assert int(packed.inside.sum()) == 9 + LENGTH + 6
    assert torch.equal(packed.tokens[packed.place], reviews([3, LENGTH, 0]))


def test_the_predictor_sees_the_mean_of_the_chosen_vectors():
    torch.manual_seed(0)
    net, tokens, table = L2XNet(DIMS).double(), reviews([10, 4]), vectors()
    chosen = torch.zeros(2, LENGTH, dtype=torch.float64)
    chosen[0, [-1, -5]] = 1
    chosen[1, [0, -2]] = 1
    chosen.requires_grad_()
    predicted = net.predictor(tokens, chosen, 2, table)
    words = table[tokens.long()]
    mean = torch.stack([(words[0, -1] + words[0, -5]) / 2, (words[1, 0] + words[1, -2]) / 2])
    hidden, rating = net.predictor.hidden, net.predictor.rating
    inner = relu(mean @ hidden.weight.T + hidden.bias)
    expected = 1 / (1 + torch.exp(-(inner @ rating.weight.T + rating.bias)))[:, 0]
    torch.testing.assert_close(predicted, expected)
    # Words that were not chosen have a gradient too: it is what the solver's layer is given.
    (found,) = torch.autograd.grad(predicted.sum(), chosen)
    slope = (expected * (1 - expected))[:, None] * rating.weight * (inner > 0)
    torch.testing.assert_close(found, torch.einsum("bld,bd->bl", words, slope @ hidden.weight) / 2)


def test_dropout_acts_while_training_only():
    net, tokens, table = selector(), reviews([12, 5]), vectors()
    assert torch.equal(net(tokens, table), net(tokens, table))
    net.train()
    assert not torch.equal(net(tokens, table), net(tokens, table))
    net.rate = 0.0
    torch.testing.assert_close(net(tokens, table), net.eval()(tokens, table))


@pytest.mark.parametrize("part", ["first", "mix", "score"])
def test_layers_start_as_in_keras(part):
    torch.manual_seed(0)
    layer = getattr(Selector(), part)
    weight = layer.weight.detach()
    fan_in, fan_out = (weight[0].numel(), weight.shape[0] * weight[0, 0].numel())
    bound = (6 / (fan_in + fan_out)) ** 0.5
    assert float(weight.abs().max()) <= bound
    assert float(weight.std()) == pytest.approx(bound / 3**0.5, rel=0.1)
    assert not layer.bias.detach().any()
