"""Train, then act."""

import gymnasium as gym

from agents import A2C


def main(seed: int = 0, steps: int = 8_000, episodes: int = 5) -> float:
    env = gym.make("CartPole-v1")
    model = A2C(env, n_steps=5, seed=seed)
    model.learn(total_timesteps=steps)

    total = 0.0
    for episode in range(episodes):
        obs, _ = env.reset(seed=episode)
        done = False
        while not done:
            action, _ = model.predict(obs, deterministic=True)
            obs, reward, terminated, truncated, _ = env.step(action)
            total += float(reward)
            done = terminated or truncated
    return total / episodes


if __name__ == "__main__":
    print(main())
