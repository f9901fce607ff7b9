"""Generate summaries: greedy, sampling, beam search, CTranslate2, vLLM, merged LoRA weights."""
