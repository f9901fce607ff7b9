"""Tiny configurations of every architecture that is supported, by name."""

from typing import Any, NamedTuple


class Shape(NamedTuple):
    """The ids and the number of tokens of the tokenizer a model is made for."""

    tokens: int
    pad: int
    stop: int
    bos: int | None
    start: int | None = None


def _decoder(shape: Shape) -> dict[str, Any]:
    return {
        # Real embeddings have spare rows, too: Qwen's 151,936 for 151,669 tokens.
        "vocab_size": -(-shape.tokens // 64) * 64,
        # Multiples of 64: in 4-bit on CPUs narrower layers are read wrongly (engine.models.load).
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 2048,
        "initializer_range": 0.3,
        "pad_token_id": shape.pad,
        "eos_token_id": shape.stop,
        "bos_token_id": shape.bos,
    }


def _bart(shape: Shape) -> dict[str, Any]:
    return {
        "vocab_size": shape.tokens,
        "d_model": 64,
        "encoder_layers": 2,
        "decoder_layers": 2,
        "encoder_attention_heads": 2,
        "decoder_attention_heads": 2,
        "encoder_ffn_dim": 128,
        "decoder_ffn_dim": 128,
        "max_position_embeddings": 600,
        "init_std": 0.3,
        "pad_token_id": shape.pad,
        "bos_token_id": shape.bos,
        "eos_token_id": shape.stop,
        "decoder_start_token_id": shape.start,
        "forced_eos_token_id": None,
    }


def _t5(shape: Shape) -> dict[str, Any]:
    return {
        "vocab_size": shape.tokens,
        "d_model": 64,
        "d_kv": 32,
        "d_ff": 128,
        "num_layers": 2,
        "num_heads": 2,
        "pad_token_id": shape.pad,
        "eos_token_id": shape.stop,
        "decoder_start_token_id": shape.start,
    }


GATED = {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}
"""What makes a T5 1.0 a T5 1.1."""

SEQ2SEQ = (
    "bart", "mbart", "t5", "t5-v1.1", "mt5", "pko-t5", "longt5", "pegasus", "bert2bert",
)  # fmt: skip
CAUSAL = (
    "llama", "qwen2", "qwen3", "qwen3.5", "gemma2", "gemma3", "gemma3-vision", "exaone4", "mistral",
    "phi3", "smollm3", "hyperclovax", "gpt2", "gpt-neox",
)  # fmt: skip


def config_of(architecture: str, shape: Shape) -> Any:
    """Return the transformers configuration of a tiny model."""
    import transformers as hf

    decoder, bart, t5 = _decoder(shape), _bart(shape), _t5(shape)
    wide, window = {"head_dim": 64}, {"sliding_window": 16}
    match architecture:
        case "bart":
            return hf.BartConfig(**bart)
        case "mbart":
            return hf.MBartConfig(**bart, scale_embedding=True)
        case "pegasus":
            return hf.PegasusConfig(**bart, scale_embedding=True)
        case "t5":
            return hf.T5Config(**t5)
        case "t5-v1.1":
            return hf.T5Config(**t5, **GATED)
        case "pko-t5":
            return hf.T5Config(**t5 | {"vocab_size": shape.tokens + 100}, **GATED)
        case "mt5":
            return hf.MT5Config(**t5, **GATED)
        case "longt5":
            local = {"encoder_attention_type": "transient-global", "local_radius": 8}
            return hf.LongT5Config(**t5, **local, global_block_size=4)
        case "bert2bert":
            bert = {key: value for key, value in decoder.items() if key != "num_key_value_heads"}
            sides = hf.BertConfig(**bert), hf.BertConfig(**bert)
            config = hf.EncoderDecoderConfig.from_encoder_decoder_configs(*sides)
            config.decoder_start_token_id = shape.start
            config.pad_token_id, config.eos_token_id = shape.pad, shape.stop
            return config
        case "llama":
            return hf.LlamaConfig(**decoder, **wide)
        case "llama-narrow":  # heads as wide together as the model, as Llama's own are
            return hf.LlamaConfig(**decoder)
        case "qwen2":
            return hf.Qwen2Config(**decoder)
        case "qwen3":
            return hf.Qwen3Config(**decoder, **wide)
        case "qwen3.5":
            layers = ["linear_attention"] * 3 + ["full_attention"]
            heads = dict.fromkeys(("linear_num_key_heads", "linear_num_value_heads"), 2)
            widths = dict.fromkeys(("linear_key_head_dim", "linear_value_head_dim"), 32)
            own = {"num_hidden_layers": 4, "layer_types": layers} | heads | widths
            return hf.Qwen3_5TextConfig(**decoder | own, **wide)
        case "gemma2":
            caps = {"attn_logit_softcapping": 5.0, "final_logit_softcapping": 3.0}
            return hf.Gemma2Config(**decoder, **wide, **window, **caps, query_pre_attn_scalar=64)
        case "gemma3":
            return hf.Gemma3TextConfig(**_gemma3(decoder))
        case "gemma3-vision":
            sides = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 1}
            vision = sides | {"num_attention_heads": 2, "image_size": 28, "patch_size": 14}
            return hf.Gemma3Config(
                text_config=_gemma3(decoder),
                vision_config=vision,
                mm_tokens_per_image=4,
                image_token_index=shape.pad,
                pad_token_id=shape.pad,
                eos_token_id=shape.stop,
            )
        case "exaone4":
            layers = ["sliding_attention"] * 3 + ["full_attention"]
            own = {"num_hidden_layers": 4, "layer_types": layers, "sliding_window_pattern": 4}
            return hf.Exaone4Config(**decoder | own, **window)
        case "mistral":
            return hf.MistralConfig(**decoder, **wide, **window)
        case "phi3":
            return hf.Phi3Config(**decoder, **window)
        case "smollm3":
            return hf.SmolLM3Config(**decoder)
        case "hyperclovax":
            scales = {"logits_scaling": 0.5, "residual_multiplier": 0.5, "use_post_norm": True}
            return hf.HyperCLOVAXConfig(**decoder, **wide, **scales, embedding_multiplier=2.0)
        case "gpt-neox":
            del decoder["num_key_value_heads"]
            return hf.GPTNeoXConfig(**decoder)
        case "gpt2":
            names = ("vocab_size", "initializer_range", "pad_token_id", "eos_token_id")
            own = {"n_embd": 64, "n_layer": 2, "n_head": 2, "n_positions": 2048}
            return hf.GPT2Config(**{name: decoder[name] for name in names}, **own)
    raise ValueError(architecture)


def _gemma3(decoder: dict[str, Any]) -> dict[str, Any]:
    own = {"num_hidden_layers": 3, "sliding_window": 16, "query_pre_attn_scalar": 64}
    layers = ["sliding_attention", "sliding_attention", "full_attention"]
    return decoder | own | {"layer_types": layers, "head_dim": 64}
