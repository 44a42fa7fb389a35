"""Deep mutual learning: peers that learn from their own experience and from each other."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Generator, Tensor, nn

from agents.a2c import A2C
from agents.imitation.base import AgentWrapper, check_at_least
from agents.maths import information
from agents.maths.distributions import Categorical, Distribution
from agents.maths.schedules import Schedule, value_at
from agents.networks.forward import legal_actions
from agents.rollout import NO_CONTEXT, Array, Choice, Context, Metrics, RecurrentStates, Rollout
from agents.settings.values import ConfigError
from envs import make
from envs.streams import peer_seed


@dataclass(eq=False, kw_only=True)
class Mutual(AgentWrapper):
    """Loss of peer k: L_A2C + mutual_coef · mean over the other peers j of mean KL(π_j ‖ π_k), on the states of peer k.

    The others are not differentiated. Every peer has `num_envs` environments of its own, and steps are counted over
    all of them; with mutual_coef 0 they learn independently. The first peer, `agent`, is the one that is evaluated.
    `train/peer_diversity` is the generalized JS divergence of the peers, for Discrete actions.
    Source: Zhang et al. 2018, "Deep mutual learning".
    """

    peers: int = 2
    mutual_coef: Schedule = 0.1

    name = "mutual"
    obstacle = "mutual learning adds a term to the loss"

    def prepare(self) -> None:
        first = self.agent
        check_at_least(2, peers=self.peers)
        check_at_least(0, mutual_coef=self.mutual_coef)
        if not isinstance(first.env, str):
            raise ConfigError("mutual learning needs an environment's id, to build one for every peer")
        if first.gru_size is not None or first.use_sde:
            raise ConfigError("peers have no memory and no state-dependent exploration: leave gru_size and use_sde out")
        self.worlds = make(
            first.env, self.peers * first.worlds.num_envs, first.seed, variant=first.variant, backend=first.backend,
            action_masks=first.action_masks,
        )  # fmt: skip
        self.all = [first, *(self._peer(k) for k in range(1, self.peers))]

    def _peer(self, k: int) -> A2C:
        """Another agent of the same settings, under `peer_seed`."""
        peer = replace(self.agent, seed=peer_seed(self.agent.seed, k), engine="torch")
        peer.worlds.close()
        return peer

    @property
    def networks(self) -> list[nn.Module]:
        return [network for peer in self.all for network in peer.networks]

    def act(
        self, obs: Array, deterministic: bool = False, generator: Generator | None = None, context: Context = NO_CONTEXT
    ) -> Choice:
        """In training every peer in its environments; else, with a generator of the caller's, the first in all."""
        if generator is not None or deterministic:
            return self.agent.act(obs, deterministic, generator, context)
        size = len(obs) // self.peers
        choices = []
        for k, peer in enumerate(self.all):
            mine = slice(k * size, (k + 1) * size)
            choices.append(peer.act(obs[mine], context=Context(None if context.legal is None else context.legal[mine])))
        return Choice(torch.cat([x.action for x in choices]), torch.cat([x.raw for x in choices]))

    def update(self, batch: Rollout, progress: float = 0.0) -> Metrics:
        """One gradient step of every peer, all from the policies before any of them."""
        parts = [self._part(batch, k) for k in range(self.peers)]
        for peer, part in zip(self.all, parts, strict=True):
            peer.learner.observe_rewards(part)
        objectives = [peer.objective(part, progress) for peer, part in zip(self.all, parts, strict=True)]
        own = [objective.pi for objective in objectives]
        views = [self._views(part, own[k], k) for k, part in enumerate(parts)]
        weight, rows = value_at(self.mutual_coef, progress), list[Metrics]()
        for k, (peer, part, objective) in enumerate(zip(self.all, parts, objectives, strict=True)):
            others = [pi for j, pi in enumerate(views[k]) if j != k]
            kl = torch.stack([pi.kl(objective.pi).mean() for pi in others]).mean()
            loss = objective.loss + weight * kl if weight else objective.loss
            metrics = peer.learner.descend(objective._replace(loss=loss), part, progress)
            rows.append({**metrics, "train/peer_kl": kl.detach(), **_diversity(views[k])})
        return {name: torch.stack([row[name] for row in rows]).mean() for name in rows[0]}

    @torch.no_grad()
    def _views(self, part: Rollout, own: Distribution, k: int) -> list[Distribution]:
        """What every peer would do on the states of peer k."""
        legal = legal_actions(part)
        return [
            peer.policy.distribution(own.raw.detach())
            if j == k
            else peer.policy(peer.learner.encoded(part.obs), None, legal)
            for j, peer in enumerate(self.all)
        ]

    def _part(self, batch: Rollout, k: int) -> Rollout:
        """The columns of peer k."""
        size = self.worlds.num_envs // self.peers
        columns: tuple[Tensor | RecurrentStates | None, ...] = tuple(batch)
        return Rollout(*(x[:, k * size : (k + 1) * size] if isinstance(x, Tensor) else None for x in columns))  # type: ignore[arg-type]

    def on_reset(self) -> None:
        for peer in self.all:
            peer.on_reset()

    def summary(self) -> str:
        return f"{self.peers} peers, KL between them weighs {self.mutual_coef}"

    def get_extra_state(self) -> dict[str, object]:
        return {"peers": [peer.state_dict() for peer in self.all[1:]]}

    def set_extra_state(self, state: Mapping[str, object]) -> None:
        for peer, saved in zip(self.all[1:], cast("list[dict[str, object]]", state["peers"]), strict=True):
            peer.load_state_dict(saved)


def _diversity(views: list[Distribution]) -> dict[str, Tensor]:
    """Σ_k KL(π_k ‖ mean policy) / K, between 0 and ln K."""
    logits = [pi.logits for pi in views if isinstance(pi, Categorical)]
    if len(logits) < len(views):
        return {}
    together = torch.stack(logits, -2).detach()
    return {"train/peer_diversity": information.generalized_js_from_logits(together, reduction="mean", validate=False)}
