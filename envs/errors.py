"""What can go wrong between an agent and a world, each as a type that says whose mistake it was."""


class EnvironmentUsageError(ValueError):
    """The request cannot be met as written; nothing has run yet."""


class UnknownEnvironment(EnvironmentUsageError):
    """No such environment id, or the package behind it is not installed."""


class UnsupportedSpace(EnvironmentUsageError):
    """The environment's observation or action space is not one that the agents here can use."""


class EnvironmentFailure(RuntimeError):
    """The environment itself broke its contract while running: it raised, or returned NaN or infinity."""
