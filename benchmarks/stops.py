"""Ends for the answers of models with random weights; former engines load it, so only torch."""

import torch  # noqa: TID253 -- a benchmark loads what it compares


def plant_stops(model: torch.nn.Module, every: int, stop_id: int) -> None:
    """Lets a causal model with random weights stop where ``every`` divides the position, only."""
    ends: list[torch.Tensor] = []

    def remember(_module: object, _args: object, named: dict[str, torch.Tensor]) -> None:
        ends[:] = [named["position_ids"][:, -1] % every == 0]

    def stop(_module: object, _args: object, logits: torch.Tensor) -> torch.Tensor:
        logits[:, -1, stop_id] = torch.where(ends[0], torch.inf, -torch.inf)
        return logits

    model.model.register_forward_pre_hook(remember, with_kwargs=True)
    model.lm_head.register_forward_hook(stop)
