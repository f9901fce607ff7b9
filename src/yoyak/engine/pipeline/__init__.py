"""From a training job to weights: find the base model, start or resume, train, save."""
