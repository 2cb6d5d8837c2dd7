"""The whole model, and the file to read first.

    pixels -> RadioEncoder -> [LayerNorm] -> pixel shuffle -> Projector -> visual tokens
    ids -> embeddings, visual tokens fused into the placeholders -> LanguageModel -> logits

Letters: T tokens, D hidden, P patches, V visual tokens.
"""

import torch
from torch import Tensor, nn

from ..errors import InputError
from ..token_reduction.pixel_shuffle import pixel_shuffle
from ..vision_encoder.radio import RadioEncoder
from .cache import Cache
from .config import VisionLanguageConfig
from .fusion import fuse
from .language_model import LanguageModel
from .projector import Projector


class VisionLanguageModel(nn.Module):
    def __init__(self, config: VisionLanguageConfig) -> None:
        super().__init__()
        self.config = config
        vision = config.vision
        self.vision_encoder = RadioEncoder(vision)
        # Megatron adds this norm to the tower whenever the language model has MTP layers
        self.vision_final_layernorm = (
            nn.LayerNorm(vision.hidden_size, eps=vision.layer_norm_eps)
            if config.text.num_nextn_predict_layers
            else None
        )
        self.projector = Projector(
            vision.hidden_size * config.merge_size**2,
            config.projector_hidden_size,
            config.text.hidden_size,
        )
        self.language_model = LanguageModel(config.text)

    def encode_images(self, pixel_values: Tensor, image_grid_hw: Tensor) -> Tensor:
        """Visual tokens `(V, D)` of all images, one after another.

        Args:
            pixel_values: `(P, 3 * patch_size**2)`; image_grid_hw: `(num_images, 2)`.

        Raises:
            InputError: grids and patches do not match.
        """
        return self.project(self.vision_encoder(pixel_values, image_grid_hw), image_grid_hw)

    def project(self, features_PD: Tensor, image_grid_hw: Tensor) -> Tensor:
        """Tower features `(P, vision width)` to visual tokens `(V, D)`."""
        if self.vision_final_layernorm is not None:
            features_PD = self.vision_final_layernorm(features_PD)
        return self.projector(pixel_shuffle(features_PD, image_grid_hw, self.config.merge_size))

    def embed(
        self,
        input_ids: Tensor,
        pixel_values: Tensor | None = None,
        image_grid_hw: Tensor | None = None,
    ) -> Tensor:
        """Embeddings `(T, D)` with the visual tokens in place.

        Raises:
            FusionError: placeholders and visual tokens differ in number.
            InputError: pixels come without grids or the other way round.
        """
        embeds_TD = self.language_model.embed(input_ids)
        if (pixel_values is None) != (image_grid_hw is None):
            raise InputError(
                "pixel_values and image_grid_hw belong together; one of them is missing."
            )
        if pixel_values is None or image_grid_hw is None:
            visual_VD = embeds_TD.new_zeros(0, embeds_TD.shape[-1])
        else:
            visual_VD = self.encode_images(pixel_values, image_grid_hw)
        return fuse(embeds_TD, input_ids, visual_VD, self.config.image_token_id)

    def forward(
        self,
        input_ids: Tensor,
        *,
        cu_seqlens: Tensor | None = None,
        pixel_values: Tensor | None = None,
        image_grid_hw: Tensor | None = None,
        cache: Cache | None = None,
    ) -> Tensor:
        """Float32 logits `(T, vocab)` of a packed row of ids `(T,)`."""
        embeds_TD = self.embed(input_ids, pixel_values, image_grid_hw)
        hidden_TD = self.language_model(embeds_TD, cu_seqlens=cu_seqlens, cache=cache)
        return self.language_model.logits(hidden_TD)

    @property
    def device(self) -> torch.device:
        return self.language_model.lm_head.weight.device
