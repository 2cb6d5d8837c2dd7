"""Edit distance between ordered trees.

K. Zhang and D. Shasha, "Simple fast algorithms for the editing distance between trees and related
problems", SIAM Journal on Computing 18 (1989).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Node:
    """A tree: what the node is, and its children in order."""

    label: Any
    children: "list[Node]" = field(default_factory=list)

    def __len__(self) -> int:
        return 1 + sum(map(len, self.children))


def tree_distance(a: Node, b: Node, change: Callable[[Any, Any], float]) -> float:
    """The least cost that makes one tree the other; to insert or remove a node costs 1.

    Args:
        a: a tree.
        b: another tree.
        change: what it costs to make a node with one label a node with another.
    """
    (labels_a, first_a), (labels_b, first_b) = _postorder(a), _postorder(b)
    costs = [[change(x, y) for y in labels_b] for x in labels_a]
    known = [[0.0] * len(labels_b) for _ in labels_a]
    for i in _key_roots(first_a):
        for j in _key_roots(first_b):
            _fill(known, costs, first_a, first_b, i, j)
    return known[-1][-1]


def _fill(
    known: list[list[float]],
    costs: list[list[float]],
    first_a: list[int],
    first_b: list[int],
    i: int,
    j: int,
) -> None:
    """Distances between all forests that end within the subtrees of key roots `i` and `j`."""
    low_a, low_b = first_a[i], first_b[j]
    width = j - low_b + 1
    forests = [[float(column) for column in range(width + 1)]]
    for x in range(low_a, i + 1):
        above = forests[-1]
        row = [above[0] + 1]
        is_tree = first_a[x] == low_a
        before = forests[first_a[x] - low_a]
        for column, y in enumerate(range(low_b, j + 1), start=1):
            least = min(above[column], row[-1]) + 1
            if is_tree and first_b[y] == low_b:
                least = min(least, above[column - 1] + costs[x][y])
                known[x][y] = least
            else:
                least = min(least, before[first_b[y] - low_b] + known[x][y])
            row.append(least)
        forests.append(row)


def _postorder(tree: Node) -> tuple[list[Any], list[int]]:
    """Labels, children before their parents, and each node's first leaf."""
    labels: list[Any] = []
    first: list[int] = []

    def visit(node: Node) -> int:
        leaves = [visit(child) for child in node.children]
        labels.append(node.label)
        first.append(leaves[0] if leaves else len(labels) - 1)
        return first[-1]

    visit(tree)
    return labels, first


def _key_roots(first: list[int]) -> list[int]:
    """The last node of each first leaf: the root, and every node with a sibling before it."""
    return sorted({leaf: idx for idx, leaf in enumerate(first)}.values())
