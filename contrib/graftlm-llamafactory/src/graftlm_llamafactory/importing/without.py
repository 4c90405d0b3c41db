"""Why keys of LLaMA-Factory have no counterpart, and what to do instead."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

REASONS: Mapping[str, str] = {
    "graftlm validates and scores by itself: see eval-every and evaluator": """
        bf16_full_eval compute_accuracy do_eval do_predict eval_* fp16_full_eval greater_is_better
        ignore_pad_token_for_loss load_best_model_at_end metric_for_best_model per_device_eval_batch_size
        predict_with_generate prediction_loss_only""",
    "it is for generating: see 'graftlm generate --help'": """
        do_sample generation_* length_penalty max_length max_new_tokens num_beams repetition_penalty
        skip_special_tokens temperature top_k top_p""",
    "write the system text into the rows": "default_system",
    "graftlm keeps every step's loss with the adapter: see 'graftlm adapters show'": """
        disable_tqdm include_*tokens* log_* logging_* plot_loss print_param_status project report_to run_name swanlab_*
        trackio_* use_swanlab""",
    "graftlm keeps the adapter by name and version; 'graftlm adapters merge' makes a whole model": """
        adapter_folder export_* hub_* overwrite_output_dir push_to_hub* resume_from_checkpoint save_*""",
    "go on from an adapter of graftlm's store: give from-adapter": "adapter_name_or_path create_new_adapter",
    "graftlm encodes in parallel, once, and keeps it: there is nothing to set": """
        buffer_size cache_dir data_shared_file_system dataloader_* low_cpu_mem_usage offload_folder overwrite_cache
        preprocessing_* remove_unused_columns streaming tokenized_path use_fast_tokenizer""",
    "give DATA that has as many rows": "max_samples",
    "graftlm's rows stay apart: see 'graftlm plugins list' for backends that pack": """
        group_by_length length_column_name neat_packing packing""",
    "graftlm shuffles by seed, the same each time": """
        data_seed disable_shuffling full_determinism train_sampling_strategy""",
    "graftlm trains on one device": """
        accelerator_config ddp_* deepspeed fsdp* hyper_parallel_args local_rank master_* parallelism_config ray_* tpu_*
        use_hyper_parallel use_mca""",
    "graftlm may have it as optimizer, loraplus-ratio, label-smoothing or neftune-alpha: give it by hand": """
        adafactor adam_* apollo_* asft_alpha average_tokens_across_devices badam_* eaft_alpha galore_*
        label_smoothing_factor loraplus_* lr_scheduler_kwargs moe_aux_loss_coef neftune_noise_alpha optim optim_*
        use_adam_mini use_apollo use_asft_loss use_badam use_dft_loss use_eaft_loss use_galore use_muon""",
    "graftlm does not train on preferences": """
        dpo_* kto_* ld_alpha ppo_* pref_* ref_model* reward_model* simpo_*""",
    "graftlm trains on texts alone": """
        audio_* crop_to_patches freeze_language_model freeze_multi_modal_projector freeze_vision_tower image_* media_dir
        use_audio_in_video video_*""",
    "it is for inference": "infer_* sglang_* use_kv_cache vllm_*",
    "see 'graftlm plugins list' for backends and accelerators": """
        enable_liger_kernel fp8* kt_* liger_kernel_config mixture_of_depths shift_attn tf32 torch_compile* use_kt
        use_liger_kernel use_unsloth use_unsloth_gc use_v1_kernels""",
    "graftlm keeps the vocabulary; options: method: trainable_token_indices trains tokens that are there": """
        add_special_tokens add_tokens init_special_tokens new_special_tokens_config resize_vocab
        split_special_tokens""",
    "it goes with the template: see 'graftlm templates list'": "preserve_thinking tool_format",
    "see 'graftlm plugins list' for methods": "module_dropout oft_* train_from_scratch use_llama_pro",
    "log in as the hub says: a run file is no place for it": "hf_hub_token ms_hub_token om_hub_token",
    "graftlm decides it by device and dtype": """
        gradient_checkpointing_kwargs half_precision_backend no_cuda quantization_device_map upcast_layernorm
        upcast_lmhead_output use_cpu use_reentrant_gc""",
    "give early-stopping, which counts validations": "early_stopping_steps",
    "it is for measuring LLaMA-Factory itself": """
        enable_torch_profiler profile_modules profiler_* skip_memory_metrics""",
}
"""Each with the keys that it is for; a star stands for anything."""
UNKNOWN = "this importer does not know it: see 'graftlm train --help' for what graftlm has"


def reason(key: str) -> str:
    """Why a key that no rule has read has no counterpart."""
    matching = (why for why, keys in REASONS.items() if any(fnmatchcase(key, one) for one in keys.split()))
    return next(matching, UNKNOWN)
