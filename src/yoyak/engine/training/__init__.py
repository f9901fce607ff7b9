"""Train: sampler, optimizer, schedule, checkpoints, evaluation, the loop."""
