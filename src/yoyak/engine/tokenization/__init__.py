"""Tokenizers, chat templates, and the token ids of training and inference rows."""
