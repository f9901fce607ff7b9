"""Turn dialogues and summaries into token ids and back."""
