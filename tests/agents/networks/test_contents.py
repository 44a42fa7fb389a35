"""`Contents`: what networks contain, collected again after a replacement."""

import copy

import torch
from torch import nn

from agents.networks.contents import Contents


def test_contents_follow_replacements() -> None:
    first, second = nn.Sequential(nn.Linear(3, 2), nn.Tanh()), nn.Linear(2, 1)
    contents = Contents(first, second)
    assert list(map(id, contents.modules)) == list(map(id, [first, first[0], first[1], second]))
    assert [len(parameters) for parameters in contents.parameters] == [2, 2]
    first[0] = nn.Linear(3, 4, bias=False)
    assert contents.parameters[0] == [first[0].weight]
    first.append(nn.Dropout())
    assert contents.modules[3] is first[2]
    second.weight = nn.Parameter(torch.ones(1, 2))
    assert contents.parameters[1][0] is second.weight
    twin = copy.deepcopy(contents)
    twin.networks[1].bias = nn.Parameter(torch.zeros(1))
    assert twin.parameters[1][1] is twin.networks[1].bias
    assert contents.parameters[1][1] is second.bias
