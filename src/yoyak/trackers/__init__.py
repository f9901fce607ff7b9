"""Send recorded metrics to W&B, trackio and TensorBoard."""
