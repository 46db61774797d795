"""From the bytes of a clip to the patches a model reads. Shared by serving and training, so that neither can drift."""
