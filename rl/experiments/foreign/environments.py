"""The environments, grouped by pip package."""

from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple


class Foreign(NamedTuple):
    """An environment of another package, as `rl.train` takes it."""

    package: str
    env: str
    settings: tuple[str, ...] = ()  # KEY=VALUE

    @property
    def version(self) -> str:
        """Version of the installed package; '' if it is not installed."""
        try:
            return version(self.package)
        except PackageNotFoundError:
            return ""


_SLOW = ("total_timesteps=1000", "eval_max_steps=600")  # tens of milliseconds per step
_VECTOR = ("wrappers=[mo_gymnasium.wrappers:LinearReward]",)  # vector rewards

FOREIGN = (
    Foreign("MinAtar", "minatar.gym:BaseEnv", ("env_kwargs={game: breakout}",)),
    Foreign("mo-gymnasium", "mo_gymnasium:deep-sea-treasure-v0"),
    Foreign("mo-gymnasium", "mo_gymnasium:minecart-v0", _VECTOR),
    Foreign("mo-gymnasium", "mo_gymnasium:resource-gathering-v0", _VECTOR),
    Foreign("mo-gymnasium", "mo_gymnasium:mo-reacher-v5", _VECTOR),
    Foreign("mo-gymnasium", "mo_gymnasium:water-reservoir-v0", _VECTOR),
    Foreign("gym-anytrading", "gym_anytrading:forex-v0"),
    Foreign("gym-anytrading", "gym_anytrading:stocks-v0"),
    Foreign("tetris-gymnasium", "tetris_gymnasium.envs:tetris_gymnasium/Tetris"),
    Foreign("gym-pusht", "gym_pusht:gym_pusht/PushT-v0"),
    Foreign("gymnasium-robotics", "gymnasium_robotics:FetchReach-v4"),
    Foreign("gymnasium-robotics", "gymnasium_robotics:PointMaze_UMazeDense-v3"),
    Foreign("gymnasium-robotics", "gymnasium_robotics:HandReachDense-v3"),
    Foreign("gymnasium-robotics", "gymnasium_robotics:FrankaKitchen-v1"),
    Foreign("popgym", "popgym:popgym-RepeatPreviousEasy-v0", ("gru_size=32",)),
    Foreign("popgym", "popgym:popgym-RepeatFirstEasy-v0"),
    Foreign("popgym", "popgym:popgym-AutoencodeEasy-v0"),
    Foreign("popgym", "popgym:popgym-BattleshipEasy-v0"),
    Foreign("popgym", "popgym:popgym-ConcentrationEasy-v0"),
    Foreign("popgym", "popgym:popgym-CountRecallEasy-v0"),
    Foreign("popgym", "popgym:popgym-HigherLowerEasy-v0"),
    Foreign("popgym", "popgym:popgym-MineSweeperEasy-v0"),
    Foreign("popgym", "popgym:popgym-MultiarmedBanditEasy-v0"),
    Foreign("popgym", "popgym:popgym-NoisyPositionOnlyPendulumEasy-v0"),
    Foreign("PyFlyt", "PyFlyt.gym_envs:PyFlyt/QuadX-Hover-v1"),
    Foreign("PyFlyt", "PyFlyt.gym_envs:PyFlyt/Rocket-Landing-v1"),
    Foreign(
        "PyFlyt", "PyFlyt.gym_envs:PyFlyt/QuadX-Waypoints-v1", ("wrappers=[FilterObservation:filter_keys=[attitude]]",)
    ),
    Foreign("miniworld", "miniworld:MiniWorld-Hallway-v0"),
    Foreign("panda-gym", "panda_gym:PandaReach-v3"),
    Foreign("panda-gym", "panda_gym:PandaPushDense-v3"),
    Foreign("metaworld", "metaworld:Meta-World/MT1", ("env_kwargs={env_name: reach-v3}",)),
    Foreign("Shimmy", "shimmy:dm_control/cartpole-balance-v0"),
    Foreign("Shimmy", "shimmy:dm_control/ball_in_cup-catch-v0"),
    Foreign("Shimmy", "shimmy:dm_control/cheetah-run-v0"),
    Foreign("gym-aloha", "gym_aloha:gym_aloha/AlohaTransferCube-v0"),
    Foreign("gym-saturation", "gym_saturation:Vampire-v0"),
    Foreign("nasim", "nasim:Tiny-v0"),
    Foreign("nasim", "nasim:SmallPO2DVA-v0"),
    Foreign("gym-trading-env", "gym_trading_env.environments:TradingEnv"),
    Foreign("gym-electric-motor", "gym_electric_motor:Cont-CC-PermExDc-v0"),
    Foreign("gym-electric-motor", "gym_electric_motor:Finite-SC-PMSM-v0"),
    Foreign("gymnasium-sudoku", "gymnasium_sudoku:sudoku-v1"),
    Foreign("crafter", "crafter:Env"),
    Foreign("rware", "rware:rware-tiny-1ag-v2"),
    Foreign("lbforaging", "lbforaging:Foraging-5x5-2p-1f-v3"),
    Foreign("bluesky-gym", "bluesky_gym.envs.descent_env:DescentEnv", ("max_episode_steps=300",)),
    Foreign("bluesky-gym", "bluesky_gym.envs.horizontal_cr_env:HorizontalCREnv", ("max_episode_steps=300",)),
    Foreign("memory-gym", "memory_gym.mystery_path_grid:GridMysteryPathEnv"),
    Foreign("memory-gym", "memory_gym.mortar_mayhem_grid:GridMortarMayhemEnv"),
    Foreign("vizdoom", "vizdoom.gymnasium_wrapper:VizdoomBasic-v1", ("total_timesteps=400", "eval_max_steps=400")),
    Foreign("highway-env", "highway_env:highway-fast-v0", _SLOW),
    Foreign("highway-env", "highway_env:merge-v1", _SLOW),
    Foreign("highway-env", "highway_env:roundabout-v1", _SLOW),
    Foreign("highway-env", "highway_env:intersection-v2", _SLOW),
    Foreign("highway-env", "highway_env:parking-v0", _SLOW),
    Foreign("highway-env", "highway_env:racetrack-v1", _SLOW),
)
