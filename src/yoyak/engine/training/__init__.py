"""The training loop and its parts: sampler, schedule, optimizer, evaluation and checkpoints."""
