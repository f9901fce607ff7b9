"""Generate summaries: greedy decoding, sampling, beam search, CTranslate2, merged LoRA weights."""
