"""The device on which torch computes, and moving tensors to it."""

import torch
from torch import Tensor

from agents.settings.values import ConfigError


def chosen_device(device: str, images: bool) -> torch.device:
    """The device that the setting names; auto: CUDA for images if available, otherwise the CPU.

    Raises ConfigError if the device is not available, and for mps, which lacks double precision.
    """
    if device == "auto":
        device = "cuda" if images and torch.cuda.is_available() else "cpu"
    if device == "cpu":
        return torch.device("cpu")
    if device == "mps":
        raise ConfigError("device mps has no double precision, which entropies and divergences need: take device=cpu")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    index = int(device.partition(":")[2] or 0)
    if index >= count:
        there = f"cuda:0 to cuda:{count - 1}" if count > 1 else "cuda" if count else "no CUDA device"
        raise ConfigError(f"device {device} is not there: torch finds {there}; take device=auto or device=cpu")
    return torch.device("cuda", index)


def prepare(device: torch.device) -> None:
    """Gives torch's thread that differentiates on a CUDA device its context.

    Without it, torch warns ("there was no current CUDA context") if the thread's first work is a matrix product.
    """
    if device.type == "cuda":
        torch.ones((), device=device, requires_grad=True).exp().backward()


def moved(x: Tensor, device: torch.device) -> Tensor:
    """x on the device; a transfer to CUDA uses pinned memory and does not block."""
    if x.device == device:
        return x
    return x.pin_memory().to(device, non_blocking=True) if device.type == "cuda" and x.is_cpu else x.to(device)


def described(device: torch.device) -> str:
    """A device's name for a run's header, such as cuda:0 (NVIDIA A100)."""
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device).upper()
