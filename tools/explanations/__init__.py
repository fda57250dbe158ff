"""Saliencies, attentions, and which tokens a model keeps, compared with human rationales."""
