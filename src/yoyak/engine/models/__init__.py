"""Load models, add adapters, collate batches, compute losses, write weights."""
