"""Visual tokens into their placeholders. Never pads, cuts or broadcasts to make them fit."""

from torch import Tensor

from ..errors import FusionError


def fuse(
    embeds_TD: Tensor, input_ids: Tensor, visual_VD: Tensor, token_id: int, *, what: str = "image"
) -> Tensor:
    """Replace the placeholders' embeddings by the visual tokens, in order.

    Args:
        embeds_TD: token embeddings `(T, D)`; input_ids: `(T,)`; visual_VD: `(V, D)`.
        token_id: the id of a placeholder; what: what it stands for, for the error.

    Returns:
        `(T, D)`.

    Raises:
        FusionError: the number of placeholders is not the number of visual tokens.
    """
    mask = input_ids == token_id
    places = int(mask.sum())
    if places != visual_VD.shape[0]:
        raise FusionError(
            f"The prompt has {places} {what} placeholders (id {token_id}) but the {what}s "
            f"give {visual_VD.shape[0]} visual tokens."
        )
    return embeds_TD.masked_scatter(mask.unsqueeze(-1), visual_VD.to(embeds_TD.dtype))
