"""A model's own chat template: rendered safely, and compared with ours."""
