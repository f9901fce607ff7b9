"""The engines that a recipe can name: Lead-n, encoder-decoders, causal language models."""
