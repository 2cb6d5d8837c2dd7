"""Visual tokens into their placeholders. Never pads, cuts or broadcasts to make them fit."""

from torch import Tensor

from ..errors import FusionError


def fuse(embeds_TD: Tensor, input_ids: Tensor, visual_VD: Tensor, image_token_id: int) -> Tensor:
    """Replace the placeholders' embeddings by the visual tokens, in order.

    Args:
        embeds_TD: token embeddings `(T, D)`; input_ids: `(T,)`; visual_VD: `(V, D)`.

    Returns:
        `(T, D)`.

    Raises:
        FusionError: the number of placeholders is not the number of visual tokens.
    """
    mask = input_ids == image_token_id
    places = int(mask.sum())
    if places != visual_VD.shape[0]:
        raise FusionError(
            f"The prompt has {places} image placeholders (id {image_token_id}) but the images "
            f"give {visual_VD.shape[0]} visual tokens."
        )
    return embeds_TD.masked_scatter(mask.unsqueeze(-1), visual_VD.to(embeds_TD.dtype))
