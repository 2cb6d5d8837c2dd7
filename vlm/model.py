"""The whole model, and the file to read first.

    images or tubelets of videos
    pixels -> vision tower -> [LayerNorm] -> pixel shuffle -> Projector -> visual tokens
    ids -> embeddings, visual tokens fused into the placeholders -> LanguageModel -> logits

Letters: T tokens, D hidden, P patches, V visual tokens.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..errors import InputError
from ..token_reduction.pixel_shuffle import pixel_shuffle
from ..token_reduction.reuse import ReusePlan
from ..vision_encoder.picture_tower import PictureTower
from ..vision_encoder.radio import RadioEncoder
from .cache import Cache
from .config import VisionLanguageConfig
from .fusion import fuse
from .language_model import LanguageModel
from .projector import Projector


class VisionLanguageModel(nn.Module):
    def __init__(
        self,
        config: VisionLanguageConfig,
        *,
        vision_encoder: RadioEncoder | PictureTower | None = None,
        language_model: LanguageModel | None = None,
    ) -> None:
        """Random weights, but for parts that are there already."""
        super().__init__()
        self.config = config
        vision = config.vision
        self.vision_encoder = vision_encoder or vision.build()
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
        self.language_model = language_model or LanguageModel(config.text)

    def encode_images(self, pixel_values: Tensor, image_grid_hw: Tensor) -> Tensor:
        """Visual tokens `(V, D)` of all images, one after another.

        Args:
            pixel_values: `(P, 3 * patch_size**2)`; image_grid_hw: `(num_images, 2)`.

        Raises:
            InputError: grids and patches do not match.
        """
        return self.project(self.vision_encoder(pixel_values, image_grid_hw), image_grid_hw)

    def encode_videos(
        self,
        pixel_values_videos: Tensor,
        video_grid_thw: Tensor,
        reuse: ReusePlan | None = None,
    ) -> list[Tensor]:
        """Visual tokens of each video, `(tubelets, rows, columns, D)`.

        Args:
            pixel_values_videos: `(P, frames per tubelet * 3 * patch_size**2)`.
            video_grid_thw: `(num_videos, 3)`, tubelets, patch rows and columns.
            reuse: which patches to encode, and whose features the others get; None encodes all.

        Raises:
            InputError: grids and patches do not match, or the tower takes other tubelets.
            BackendError: the tower cannot leave patches out.
        """
        features_PD = self.vision_encoder.encode_tubelets(
            pixel_values_videos, video_grid_thw, reuse
        )
        return self.project_videos(features_PD, video_grid_thw)

    def project_videos(self, features_PD: Tensor, video_grid_thw: Tensor) -> list[Tensor]:
        """Tower features `(P, vision width)` of tubelets to visual tokens, as `encode_videos`."""
        tubelets = video_grid_thw[:, 1:].repeat_interleave(video_grid_thw[:, 0], dim=0)
        visual_VD = self.project(features_PD, tubelets)
        merge = self.config.merge_size
        shapes = [(t, h // merge, w // merge) for t, h, w in video_grid_thw.tolist()]
        videos = visual_VD.split([t * h * w for t, h, w in shapes])
        return [video.unflatten(0, shape) for video, shape in zip(videos, shapes, strict=True)]

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
        pixel_values_videos: Tensor | None = None,
        video_grid_thw: Tensor | None = None,
    ) -> Tensor:
        """Embeddings `(T, D)` with the visual tokens in place.

        Raises:
            FusionError: placeholders and visual tokens differ in number, of images or videos.
            InputError: pixels come without grids or the other way round.
        """
        images, videos = self.see(pixel_values, image_grid_hw, pixel_values_videos, video_grid_thw)
        return self.place(input_ids, images, [video.flatten(0, 2) for video in videos])

    def see(
        self,
        pixel_values: Tensor | None = None,
        image_grid_hw: Tensor | None = None,
        pixel_values_videos: Tensor | None = None,
        video_grid_thw: Tensor | None = None,
        reuse: ReusePlan | None = None,
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Visual tokens of all images `(V, D)` in one piece, and of each video `(t, h, w, D)`.

        Raises:
            InputError: pixels come without grids or the other way round.
        """
        images: list[Tensor] = []
        videos: list[Tensor] = []
        if pair := _pair(pixel_values, image_grid_hw, "pixel_values", "image_grid_hw"):
            images = [self.encode_images(*pair)]
        if pair := _pair(
            pixel_values_videos, video_grid_thw, "pixel_values_videos", "video_grid_thw"
        ):
            videos = self.encode_videos(*pair, reuse)
        return images, videos

    def place(
        self, input_ids: Tensor, images_VD: Sequence[Tensor], videos_VD: Sequence[Tensor]
    ) -> Tensor:
        """Embeddings `(T, D)` of ids, with visual tokens in their placeholders, in order.

        Raises:
            FusionError: placeholders and visual tokens differ in number, of images or videos.
        """
        config = self.config
        is_video = input_ids == config.video_placeholder_id
        # An id that stands for a video may lie past the vocabulary.
        embeds_TD = self.language_model.embed(input_ids.masked_fill(is_video, 0))
        nothing = embeds_TD.new_zeros(0, embeds_TD.shape[-1])
        images, videos = (torch.cat([nothing, *each]) for each in (images_VD, videos_VD))
        embeds_TD = fuse(embeds_TD, input_ids, images, config.image_token_id)
        return fuse(embeds_TD, input_ids, videos, config.video_placeholder_id, what="video")

    def forward(
        self,
        input_ids: Tensor,
        *,
        cu_seqlens: Tensor | None = None,
        pixel_values: Tensor | None = None,
        image_grid_hw: Tensor | None = None,
        pixel_values_videos: Tensor | None = None,
        video_grid_thw: Tensor | None = None,
        cache: Cache | None = None,
    ) -> Tensor:
        """Float32 logits `(T, vocab)` of a packed row of ids `(T,)`."""
        embeds_TD = self.embed(
            input_ids, pixel_values, image_grid_hw, pixel_values_videos, video_grid_thw
        )
        hidden_TD = self.language_model(embeds_TD, cu_seqlens=cu_seqlens, cache=cache)
        return self.language_model.logits(hidden_TD)

    @property
    def device(self) -> torch.device:
        return self.language_model.device


def _pair(
    pixels: Tensor | None, grids: Tensor | None, pixels_name: str, grids_name: str
) -> tuple[Tensor, Tensor] | None:
    if pixels is None and grids is None:
        return None
    if pixels is None or grids is None:
        raise InputError(f"{pixels_name} and {grids_name} belong together; one of them is missing.")
    return pixels, grids
