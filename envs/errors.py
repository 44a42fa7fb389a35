"""What can go wrong between an agent and its environments; each type says whose mistake it was."""


class EnvironmentUsageError(ValueError):
    """The arguments cannot be used as they are; nothing has run yet."""


class UnknownEnvironment(EnvironmentUsageError):
    """No such environment id, or the package behind it is not installed."""


class UnsupportedSpace(EnvironmentUsageError):
    """No agent here can use the observation or action space of the environment."""


class EnvironmentFailure(RuntimeError):
    """The environment raised while running, or returned NaN, infinity or an observation of another form."""
