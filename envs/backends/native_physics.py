"""Gymnasium's five classic-control environments as compiled functions; bit-exact where Gymnasium uses float64.

`world` is an index into `envs.backends.native.WORLDS`. Every function branches on it, so one kernel serves all.
A state is a row of float64, an observation a row of float32. Float32 is used where NumPy's promotion of scalars makes
Gymnasium use it; `x ** 2` of a NumPy scalar is libm's pow(x, 2), which can differ from x · x.
Source: gymnasium/envs/classic_control, version 1.4.
"""

import math

import numpy as np

from envs.kernels import kernel

CARTPOLE, ACROBOT, MOUNTAIN_CAR, MOUNTAIN_CAR_CONTINUOUS, PENDULUM = range(5)
_f32, _f64 = np.float32, np.float64
_HALF = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)
_FACTOR_HIGH, _FACTOR_LOW = np.uint64(0x2360ED051FC65DA4), np.uint64(0x4385DF649FCCF645)  # PCG64's multiplier


@kernel
def _square(x, two):
    return math.pow(x, two[0])


@kernel
def reset_world(world, state, rng):
    """Draws an initial state. Modifies state, float64[4], and rng, uint64[4]."""
    if world == CARTPOLE:
        for k in range(4):
            state[k] = uniform(rng, -0.05, 0.05)
    elif world == ACROBOT:
        for k in range(4):
            state[k] = _f32(uniform(rng, -0.1, 0.1))
    elif world == PENDULUM:
        state[0] = uniform(rng, -math.pi, math.pi)
        state[1] = uniform(rng, -1.0, 1.0)
    else:
        state[0] = uniform(rng, -0.6, -0.4)
        state[1] = 0.0


@kernel
def observe(world, state, obs):
    """Writes the observation of a state into obs, float32[D]."""
    if world == ACROBOT:
        obs[0], obs[1] = math.cos(state[0]), math.sin(state[0])
        obs[2], obs[3] = math.cos(state[1]), math.sin(state[1])
        obs[4], obs[5] = state[2], state[3]
    elif world == PENDULUM:
        obs[0], obs[1], obs[2] = math.cos(state[0]), math.sin(state[0]), state[1]
    else:
        for k in range(len(obs)):
            obs[k] = state[k]


@kernel
def step_world(world, state, index, force, fresh, two):
    """One step: changes state, returns (reward, terminated).

    index: a Discrete action; force: float32, a Box action within its bounds; fresh: whether this is the first step of
    an episode; two: float64[1] that contains 2.0, which keeps the compiler from replacing the call of pow.
    """
    if world == CARTPOLE:
        return _cartpole(state, index)
    if world == ACROBOT:
        return _acrobot(state, index, two)
    if world == MOUNTAIN_CAR:
        return _mountain_car(state, index)
    if world == MOUNTAIN_CAR_CONTINUOUS:
        return _mountain_car_continuous(state, force, fresh, two)
    return _pendulum(state, force, two)


@kernel
def _cartpole(state, index):
    x, x_dot, theta, theta_dot = state[0], state[1], state[2], state[3]
    force = 10.0 if index == 1 else -10.0
    cos, sin = math.cos(theta), math.sin(theta)
    temp = (force + 0.05 * (theta_dot * theta_dot) * sin) / 1.1
    theta_acc = (9.8 * sin - cos * temp) / (0.5 * (4.0 / 3.0 - 0.1 * (cos * cos) / 1.1))
    x_acc = temp - 0.05 * theta_acc * cos / 1.1
    x = x + 0.02 * x_dot
    x_dot = x_dot + 0.02 * x_acc
    theta = theta + 0.02 * theta_dot
    theta_dot = theta_dot + 0.02 * theta_acc
    state[0], state[1], state[2], state[3] = x, x_dot, theta, theta_dot
    limit = 12 * 2 * math.pi / 360
    return 1.0, x < -2.4 or x > 2.4 or theta < -limit or theta > limit


@kernel
def _acrobot(state, index, two):
    """One step of 0.2 s by the fourth-order Runge-Kutta method."""
    torque = float(index - 1)
    a, b, c, d = state[0], state[1], state[2], state[3]
    p1, p2 = _acrobot_slope(a, b, c, d, torque, two)
    q1, q2 = _acrobot_slope(a + 0.1 * c, b + 0.1 * d, c + 0.1 * p1, d + 0.1 * p2, torque, two)
    c2, d2 = c + 0.1 * p1, d + 0.1 * p2
    c3, d3 = c + 0.1 * q1, d + 0.1 * q2
    r1, r2 = _acrobot_slope(a + 0.1 * c2, b + 0.1 * d2, c3, d3, torque, two)
    c4, d4 = c + 0.2 * r1, d + 0.2 * r2
    s1, s2 = _acrobot_slope(a + 0.2 * c3, b + 0.2 * d3, c4, d4, torque, two)
    sixth = 0.2 / 6.0
    a = _wrap(a + sixth * (c + 2 * c2 + 2 * c3 + c4))
    b = _wrap(b + sixth * (d + 2 * d2 + 2 * d3 + d4))
    c = min(max(c + sixth * (p1 + 2 * q1 + 2 * r1 + s1), -4 * math.pi), 4 * math.pi)
    d = min(max(d + sixth * (p2 + 2 * q2 + 2 * r2 + s2), -9 * math.pi), 9 * math.pi)
    state[0], state[1], state[2], state[3] = a, b, c, d
    terminated = -math.cos(a) - math.cos(b + a) > 1.0
    return 0.0 if terminated else -1.0, terminated


@kernel
def _acrobot_slope(theta1, theta2, dtheta1, dtheta2, torque, two):
    """Angular accelerations of both links (Sutton & Barto's equations)."""
    m1 = m2 = l1 = i1 = i2 = 1.0
    lc1 = lc2 = 0.5
    g = 9.8
    d1 = m1 * 0.25 + m2 * (1.0 + 0.25 + 2 * l1 * lc2 * math.cos(theta2)) + i1 + i2
    d2 = m2 * (0.25 + l1 * lc2 * math.cos(theta2)) + i2
    phi2 = m2 * lc2 * g * math.cos(theta1 + theta2 - math.pi / 2.0)
    phi1 = (
        -m2 * l1 * lc2 * _square(dtheta2, two) * math.sin(theta2)
        - 2 * m2 * l1 * lc2 * dtheta2 * dtheta1 * math.sin(theta2)
        + (m1 * lc1 + m2 * l1) * g * math.cos(theta1 - math.pi / 2)
        + phi2
    )
    ddtheta2 = (torque + d2 / d1 * phi1 - m2 * l1 * lc2 * _square(dtheta1, two) * math.sin(theta2) - phi2) / (
        m2 * 0.25 + i2 - _square(d2, two) / d1
    )
    return -(d2 * ddtheta2 + phi1) / d1, ddtheta2


@kernel
def _wrap(angle):
    whole = math.pi - (-math.pi)
    while angle > math.pi:
        angle = angle - whole
    while angle < -math.pi:
        angle = angle + whole
    return angle


@kernel
def _mountain_car(state, index):
    position, velocity = state[0], state[1]
    velocity += (index - 1) * 0.001 + math.cos(3 * position) * (-0.0025)
    velocity = min(max(velocity, -0.07), 0.07)
    position = min(max(position + velocity, -1.2), 0.6)
    if position == -1.2 and velocity < 0:
        velocity = 0.0
    state[0], state[1] = position, velocity
    return -1.0, position >= 0.5 and velocity >= 0


@kernel
def _mountain_car_continuous(state, force, fresh, two):
    """The first step of an episode is in float64, later ones in float32, in which Gymnasium stores the state."""
    if fresh:
        position, velocity = state[0], state[1]
        push = _f32(force * _f32(0.0015)) - _f32(0.0025 * math.cos(3 * position))
        velocity = min(max(velocity + _f32(push), -0.07), 0.07)
        position = min(max(position + velocity, -1.2), 0.6)
        if position == -1.2 and velocity < 0:
            velocity = 0.0
        terminated = position >= 0.45 and velocity >= 0
    else:
        x, v = _f32(state[0]), _f32(state[1])
        push = _f32(force * _f32(0.0015)) - _f32(0.0025 * math.cos(_f64(_f32(3) * x)))
        v = min(max(_f32(v + _f32(push)), _f32(-0.07)), _f32(0.07))
        x = min(max(_f32(x + v), _f32(-1.2)), _f32(0.6))
        if x == _f32(-1.2) and v < 0:
            v = _f32(0)
        terminated = x >= _f32(0.45) and v >= 0
        position, velocity = _f64(x), _f64(v)
    state[0], state[1] = _f32(position), _f32(velocity)
    return (100.0 if terminated else 0.0) - _square(_f64(force), two) * 0.1, terminated


@kernel
def _pendulum(state, torque, two):
    angle, speed = state[0], state[1]
    upright = ((angle + math.pi) % (2 * math.pi)) - math.pi
    effort = _f32(0.001) * _f32(torque * torque)
    cost = _square(upright, two) + 0.1 * _square(speed, two) + effort
    speed = speed + (15.0 * math.sin(angle) + _f32(_f32(3.0) * torque)) * 0.05
    speed = min(max(speed, -8.0), 8.0)
    state[0], state[1] = angle + speed * 0.05, speed
    return -cost, False


@kernel
def step_worlds(world, limit, state, rng, length, index, force, obs, next_obs, reward, terminated, truncated, two):
    """One step of N environments. Where an episode ends, next_obs is its last observation and obs the next one's first.

    limit: time limit in steps; state: float64[N, 4]; rng: uint64[N, 4]; length: int64[N], steps so far in the episode;
    index: int64[N] or force: float32[N], the actions; obs, next_obs: float32[N, D]; reward: float64[N].
    """
    for i in range(len(state)):
        r, over = step_world(world, state[i], index[i], force[i], length[i] == 0, two)
        length[i] += 1
        reward[i], terminated[i], truncated[i] = r, over, length[i] >= limit
        observe(world, state[i], next_obs[i])
        if over or truncated[i]:
            reset_world(world, state[i], rng[i])
            length[i] = 0
            observe(world, state[i], obs[i])
        else:
            for k in range(obs.shape[1]):
                obs[i, k] = next_obs[i, k]


@kernel
def _high_product(a, b):
    """The upper 64 bits of the 128-bit product."""
    a0, a1, b0, b1 = a & _HALF, a >> _32, b & _HALF, b >> _32
    cross = a1 * b0 + ((a0 * b0) >> _32)
    other = a0 * b1 + (cross & _HALF)
    return a1 * b1 + (cross >> _32) + (other >> _32)


@kernel
def uniform(rng, low, high):
    """low + (high − low) · u, u in [0, 1) of 53 bits: what `Generator.uniform` draws. rng: uint64[4], changed."""
    old_high, old_low = rng[0], rng[1]
    state_low = old_low * _FACTOR_LOW
    state_high = _high_product(old_low, _FACTOR_LOW) + old_high * _FACTOR_LOW + old_low * _FACTOR_HIGH
    new_low = state_low + rng[3]
    carry = np.uint64(1) if new_low < state_low else np.uint64(0)
    new_high = state_high + rng[2] + carry
    rng[0], rng[1] = new_high, new_low
    mixed, turn = new_high ^ new_low, new_high >> np.uint64(58)
    word = (mixed >> turn) | (mixed << ((np.uint64(64) - turn) & np.uint64(63)))
    return low + (high - low) * ((word >> np.uint64(11)) * (1.0 / 9007199254740992.0))
