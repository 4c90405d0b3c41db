"""What is said of PEFT's methods and their fields, and which of them are left out, and why; see ``make_schema``."""

from __future__ import annotations

SUMMARIES = {
    "beft": "a trained bias behind each target layer",
    "boft": "weights turned by butterfly-shaped orthogonal matrices",
    "c3a": "changes of weights by block-circular convolutions",
    "deft": "a rank-r part of the weights projected out, and another put in",
    "delora": "LoRA with its direction and its strength apart",
    "fourierft": "changes of weights by a few Fourier coefficients",
    "frod": "full-rank changes by joint factors and sparse rotations",
    "glora": "weights, biases and inputs scaled and shifted by low-rank terms",
    "gralora": "LoRA block by block: finer than one pair of matrices a layer",
    "hira": "low-rank changes multiplied with the weights themselves",
    "hra": "weights turned by a chain of Householder reflections",
    "ia3": "one trained scale for each output or input",
    "ln_tuning": "the weights of the norms, and nothing else",
    "loha": "changes of weights as products of two low-rank matrices, element by element",
    "lokr": "changes of weights as Kronecker products",
    "miss": "one small matrix a layer, shared by shards of its inputs",
    "oft": "weights turned by block-diagonal orthogonal matrices",
    "osf": "the small singular directions of the weights, the large ones kept",
    "peanut": "small networks that make the change of a weight out of the weight",
    "psoft": "orthogonal turns within the principal directions of the weights",
    "pvera": "VeRA with vectors that are drawn from a trained distribution",
    "randlora": "full-rank changes by trained scales of fixed random matrices",
    "road": "outputs turned in pairs, by angle and length",
    "shira": "a few scattered weights of each layer",
    "supertuning": "the largest or smallest weights of each layer, and LoRA beside them if asked",
    "tinylora": "a few numbers that steer fixed directions of the weights",
    "trainable_tokens": "the embeddings of a few tokens, and nothing else",
    "unilora": "all low-rank matrices out of one short trained vector",
    "vblora": "low-rank matrices mixed from one bank of vectors",
    "vera": "trained scales of random low-rank matrices that all layers share",
    "waveft": "changes of weights by a few wavelet coefficients",
}
"""The methods that were seen to train, save and reload with equal logits; the tests see it again."""

LEFT_OUT = {
    "adalora": "its ranks are reallocated at every step, by a call of its own",
    "adamss": "it needs scikit-learn, and reallocates its ranks while it trains",
    "adaption_prompt": "it knows the attention of Llama and Mistral alone",
    "cartridge": "it is in the key-value cache, which packing and checkpointing upset",
    "cpt": "it puts tokens before the text: logits and labels differ in length",
    "lily": "it mixes by an average over the batch: a token sees its future",
    "lora": "it is a plugin of its own",
    "multitask_prompt_tuning": "it needs a task's number for each sample",
    "p_tuning": "it puts tokens before the text: logits and labels differ in length",
    "poly": "it needs a task's number for each sample",
    "prefix_tuning": "it is in the key-value cache, which packing and checkpointing upset",
    "prompt_tuning": "it puts tokens before the text: logits and labels differ in length",
    "shadow": "it runs a second model beside the base, and fails on transformers 5",
    "xlora": "it mixes adapters that are trained already",
}

QUANTIZED = (
    "beft", "c3a", "gralora", "ia3", "ln_tuning", "miss", "oft", "pvera", "randlora", "road", "shira",
    "trainable_tokens", "vblora", "vera",
)  # fmt: skip
"""Methods that were seen to work on nf4, int8 and torchao's int8."""

NO_RANK = ("oft", "supertuning")
"""Methods whose rank is a choice among others, and stays an option."""

OWN_TARGETS = {"ln_tuning": "norms", "trainable_tokens": "embeddings"}
"""Methods that adapt no linear layers."""

NOT_OPTIONS = (
    "fan_in_fan_out",  # PEFT knows it from the layer
    "progressbar",
    "psoft_alpha",  # the directions are divided by what the turn is multiplied with
    "runtime_offload_base_weight",
    "sample_at_inference",  # an adapter that answers by chance cannot be proved to be what was trained
    "generator_seed",
    "save_only_topk_weights",  # what it leaves out could not be gone on from
    "save_projection",  # without it, an adapter is what the random numbers of a torch release make of it
    "use_effective_conv2d",  # no convolution is adapted
)
ALWAYS = {
    "frod": {"progressbar": False},
    "ia3": {"feedforward_modules": []},  # PEFT would choose some itself where none are named
}
"""What PEFT is told where no option says otherwise."""

HELP = {
    "ab_svd_init": "how the principal directions are found: psoft's own way, or PiSSA's",
    "act_fn": "the activation of the small networks",
    "alpha": "the change's scale, by PEFT's own rule where empty",
    "alpha_pattern": "other alphas for some modules: the end of a path, or a regular expression, and the alpha",
    "apply_GS": "make the reflections orthogonal to one another (Gram-Schmidt)",
    "bias": "biases to train too: none, all of the model, or those of the adapted layers",
    "block_share": "one block for a whole layer",
    "block_size": "the side of a block, which divides inputs and outputs",
    "block_size_pattern": "other block sizes for some modules: the end of a path, and the size",
    "boft_block_num": "blocks a layer, instead of their size",
    "boft_block_size": "the side of a block, which divides the inputs",
    "boft_n_butterfly_factor": "butterfly factors; each doubles the reach of a block",
    "cayley_neumann_eps": "a bound on the turn, for the series to converge",
    "coft": "keep the turn within eps of none",
    "config_A_B": "the form of the terms that scale and shift the weights",
    "config_C": "the form of the term that is added to the bias by way of the weights",
    "config_D_E": "the form of the terms that scale and shift the bias",
    "d_initial": "the scales' first value",
    "decompose_both": "split the smaller factor too",
    "decompose_factor": "the size of the smaller factor; -1 is the square root",
    "decomposition_method": "how the part to take out is found",
    "delora_lambda": "the first bound of the change's strength",
    "depth": "hidden layers of the small networks",
    "effective_rank": "singular directions to keep as they are: a number of them, or a share below 1",
    "eps": "how far a constrained turn may go",
    "exclude_modules": "modules that stay as they are, by the ends of their paths",
    "feedforward_modules": "targets whose inputs are scaled, where others' outputs are; each must be a target",
    "gralora_k": "blocks on each side; it divides the rank and the layers' sizes",
    "group_size": "outputs that are turned together; it divides the outputs",
    "hybrid_r": "how much of the rank is one pair of matrices for the whole layer",
    "init_logits_std": "the spread of the mixture's first logits",
    "init_scale": "the spread of the first values",
    "init_theta_d_bound": "the bound of the vector's first values",
    "init_v_bound": "the bound of the first values",
    "init_vector_bank_bound": "the bound of the bank's first values",
    "init_weights": "how the weights start",
    "lambda_pattern": "other bounds for some modules: the end of a path, and the bound",
    "layers_pattern": "the name of the list of layers, where a path has several numbers",
    "layers_to_transform": "the numbers of the layers to adapt, from 0; all where empty",
    "lora_alpha": "alpha of the LoRA beside it",
    "lora_dropout": "dropout of the LoRA beside it",
    "mini_r": "the rank of the matrix where init_weights is mini; it divides the outputs",
    "module_dropout": "how often a whole adapter is left out in training",
    "modules_to_save": "modules that are trained and kept whole, by the ends of their paths",
    "n_frequency": "coefficients a layer",
    "n_frequency_pattern": "other numbers of coefficients for some modules: the end of a path, and the number",
    "num_cayley_neumann_terms": "terms of that series",
    "num_vectors": "vectors in the bank",
    "oft_block_size": "the side of a block, which divides the inputs; 0 where r is given",
    "para": "let the part to put in be free of the part to take out",
    "proj_seed": "the seed of the fixed projection",
    "projection_prng_key": "the seed of the random matrices",
    "projection_seed": "the seed of the fixed directions",
    "proportional_parameters": "coefficients in proportion to a layer's size",
    "psoft_mag_a": "train a length for each input of the turn",
    "psoft_mag_b": "train a length for each output of the turn",
    "psoft_orth": "keep the turn orthogonal",
    "psoft_svd": "an exact singular value decomposition, or a fast one",
    "psoft_svd_lowrank_niter": "iterations of the fast one",
    "r": "the rank; nothing of that kind where 0 or empty",
    "random_loc_seed": "the seed of the coefficients' places",
    "random_seed": "the seed of the choice",
    "rank_dropout": "how often a part of the rank is left out in training",
    "rank_dropout_scale": "make up for rank_dropout by a scale",
    "rank_pattern": "other ranks for some modules: the end of a path, or a regular expression, and the rank",
    "regularization_alpha": "how far the joint factors are regularised",
    "save_indices": "keep the indices beside the vector",
    "save_precomputed_indices": "keep the chosen places beside their values",
    "scaling": "the factor of the change",
    "select_top": "take the largest weights, not the smallest",
    "sparse": "random matrices of -1, 0 and 1",
    "sparse_rate": "the share of a rotation that is trained",
    "sparsity": "the share of weights that stay as they are",
    "target_modules": "the modules to train, by the ends of their paths; all norms where empty",
    "target_svd_config": "other numbers of kept directions for some modules: the path of a weight, and the number",
    "theta_d_length": "the length of the vector",
    "token_indices": "the ids of the tokens to train",
    "topk": "vectors of the bank in each mixture",
    "u": "numbers that are trained for a layer, or for those that share them",
    "use_cayley_neumann": "turn by a series instead of an inverse: faster, not quite orthogonal",
    "use_idwt": "go back from wavelets to weights",
    "variant": "how many of angle and length are trained for a group",
    "vector_length": "the length of a vector of the bank, which divides inputs and outputs",
    "very_sparse": "still fewer that are not 0",
    "wavelet_family": "the wavelets, by the names of PyWavelets",
    "weight_tying": "the share of layers that have their numbers in common, from 0 to 1",
    "mask_type": "how the weights are chosen",
}
