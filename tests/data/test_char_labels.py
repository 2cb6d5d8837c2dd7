"""Character targets: the right slot, crowding, scaling, and reading them back."""

import numpy as np

from latentvlm.data.char_labels import CHARSET, IGNORE, SLOTS, char_targets, read_slots


def targets(text, centers, *, size=(16, 32), grid=(2, 4)):
    return char_targets(np.array([ord(c) for c in text]), np.array(centers), size=size, grid=grid)


def test_characters_stand_where_their_centres_are():
    found = targets("ab", [(1.0, 3.0), (13.0, 12.0)])
    assert found.shape == (8, SLOTS)
    assert found[0, 0] == CHARSET.index("a") + 1
    assert found[5, 1] == CHARSET.index("b") + 1
    assert (found != 0).sum() == 2
    assert read_slots(found, grid=(2, 4)) == ["a", "b"]


def test_centres_scale_with_the_picture():
    assert (targets("a", [(26.0, 6.0)], size=(32, 64)) == targets("a", [(13.0, 3.0)])).all()


def test_crowded_characters_move_right_and_never_displace_others():
    assert read_slots(targets("il", [(1.0, 3.0), (3.0, 3.0)]), grid=(2, 4)) == ["il"]
    assert read_slots(targets("ilm", [(1.0, 3.0), (3.0, 3.0), (6.0, 3.0)]), grid=(2, 4)) == ["im"]


def test_unknown_characters_are_ignored_and_empty_pictures_are_empty():
    assert targets("\u4e00", [(1.0, 3.0)])[0, 0] == IGNORE
    assert not targets("", []).any()
