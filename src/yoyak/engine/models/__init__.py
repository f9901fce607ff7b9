"""Load models, add LoRA, collate batches, compute losses, write and export weights."""
