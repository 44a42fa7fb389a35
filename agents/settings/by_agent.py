"""The settings of each agent that learns from rewards."""

from agents.settings.a2c import A2CSettings
from agents.settings.ppo import PPOSettings
from agents.settings.stream import StreamSettings

SETTINGS = {"a2c": A2CSettings, "ppo": PPOSettings, "stream": StreamSettings}
