"""How the built-in models came to be.

    python -m pretraining.pretrain tiny-mistral --out DIR     (half an hour on one core)
    python -m pretraining.card DIR tiny-mistral               (into the package, with its card)
    python -m pretraining.datasets                            (the skills' questions, and the new capabilities' data)

Each model's exact command, seed and versions stand in its card: ``graftlm models show tiny-mistral``.
"""
