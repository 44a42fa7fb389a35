"""`Contents`: the modules and parameters of networks, gathered once."""

from operator import is_

from torch import nn


class Contents:
    """The modules and parameters of networks, collected again only if one of them was replaced.

    Collecting takes longer than a forward pass of a small network; checking for replacements does not.
    """

    def __init__(self, *networks: nn.Module) -> None:
        self.networks = networks
        self._gather()

    @property
    def modules(self) -> list[nn.Module]:
        """Every module, the networks included."""
        self._refresh()
        return self._modules

    @property
    def parameters(self) -> list[list[nn.Parameter]]:
        """The parameters of each network, in the order of `nn.Module.parameters`."""
        self._refresh()
        return self._parameters

    def _gather(self) -> None:
        self._modules = [module for network in self.networks for module in network.modules()]
        self._parameters = [[*network.parameters()] for network in self.networks]
        self._members = [inside for m in self._modules for inside in (m._modules, m._parameters)]
        self._inside = self._now()

    def _now(self) -> list[object]:
        """The direct members of every known module: replacing any of them changes this list."""
        return [member for inside in self._members for member in inside.values()]

    def _refresh(self) -> None:
        now = self._now()
        if len(now) != len(self._inside) or not all(map(is_, now, self._inside)):
            self._gather()
