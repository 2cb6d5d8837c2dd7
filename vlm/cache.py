"""What a set of sequences carries from one call to the next.

Attention layers keep keys and values (in FP8 if asked), Mamba layers the last inputs of the
convolution and the state of the scan (float32, or in few bits if asked: `mamba_cache.py`). MLP and
MoE layers keep nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import InputError
from .config import LanguageConfig
from .mamba_cache import MambaCache, SsmRounding
from .ops.decode import Step
from .quantize.fp8 import decode_e4m3, encode_e4m3


@dataclass(frozen=True, kw_only=True)
class Fp8Scales:
    """How an FP8 cache keeps a layer's keys and values: as the E4M3 bytes of `x / scale`."""

    key: float = 1.0
    value: float = 1.0


class AttentionCache:
    """Keys and values `(num_seqs, kv_heads, capacity, head_dim)` and how many are filled.

    With `fp8` they are bytes, widened whenever they are asked for.
    """

    def __init__(
        self, keys: Tensor, values: Tensor, lengths: list[int], *, fp8: Fp8Scales | None = None
    ) -> None:
        self.keys = keys
        self.values = values
        self.lengths = lengths
        self.fp8 = fp8

    def _reserve(self, length: int) -> None:
        capacity = self.keys.shape[2]
        if length <= capacity:
            return
        grown = max(length, 2 * capacity)
        filled = max(self.lengths)
        for name in ("keys", "values"):
            old = getattr(self, name)
            new = old.new_zeros(*old.shape[:2], grown, old.shape[3])
            new[:, :, :filled] = old[:, :, :filled]
            setattr(self, name, new)

    def append(self, seq: int, k_TGE: Tensor, v_TGE: Tensor) -> tuple[Tensor, Tensor]:
        """Add T tokens to one sequence; returns all its keys and values `(G, K, E)`."""
        start, stop = self.lengths[seq], self.lengths[seq] + k_TGE.shape[0]
        self._reserve(stop)
        k, v = self._narrow(k_TGE, v_TGE)
        self.keys[seq, :, start:stop] = k.transpose(0, 1)
        self.values[seq, :, start:stop] = v.transpose(0, 1)
        self.lengths[seq] = stop
        return self._widen(self.keys[seq, :, :stop], self.values[seq, :, :stop], k_TGE.dtype)

    def append_one(self, k_SGE: Tensor, v_SGE: Tensor) -> tuple[Tensor, Tensor]:
        """Add one token to every sequence; returns keys and values, filled ones at least."""
        self._reserve(max(self.lengths) + 1)
        k, v = self._narrow(k_SGE, v_SGE)
        if min(self.lengths) == max(self.lengths):
            self.keys[:, :, self.lengths[0]] = k
            self.values[:, :, self.lengths[0]] = v
        else:
            at = torch.tensor(self.lengths, device=self.keys.device)
            seqs = torch.arange(len(self.lengths), device=self.keys.device)
            self.keys[seqs, :, at] = k.to(self.keys.dtype)
            self.values[seqs, :, at] = v.to(self.values.dtype)
        self.lengths = [length + 1 for length in self.lengths]
        if self.fp8 is None:
            return self.keys, self.values
        longest = max(self.lengths)
        return self._widen(self.keys[:, :, :longest], self.values[:, :, :longest], k_SGE.dtype)

    def filled_keys(self, seq: int, dtype: torch.dtype) -> Tensor:
        """The keys of one sequence `(G, K, E)`."""
        keys = self.keys[seq, :, : self.lengths[seq]]
        return keys if self.fp8 is None else self._widen(keys, keys, dtype)[0]

    def select(self, seqs: list[int]) -> "AttentionCache":
        lengths = [self.lengths[s] for s in seqs]
        return AttentionCache(self.keys[seqs], self.values[seqs], lengths, fp8=self.fp8)

    @classmethod
    def join(cls, parts: Sequence["AttentionCache"], *, spare: int) -> "AttentionCache":
        lengths = [length for part in parts for length in part.lengths]
        first = parts[0].keys
        shape = (len(lengths), first.shape[1], max(lengths) + spare, first.shape[3])
        keys, values = first.new_zeros(shape), first.new_zeros(shape)
        at = 0
        for part in parts:
            stop, filled = at + len(part.lengths), max(part.lengths)
            keys[at:stop, :, :filled] = part.keys[:, :, :filled]
            values[at:stop, :, :filled] = part.values[:, :, :filled]
            at = stop
        return cls(keys, values, lengths, fp8=parts[0].fp8)

    def _narrow(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        if self.fp8 is None:
            return k, v
        return encode_e4m3(k.float() / self.fp8.key), encode_e4m3(v.float() / self.fp8.value)

    def _widen(self, keys: Tensor, values: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        if self.fp8 is None:
            return keys, values
        wide = decode_e4m3(keys).mul_(self.fp8.key), decode_e4m3(values).mul_(self.fp8.value)
        return wide[0].to(dtype), wide[1].to(dtype)


class Cache:
    """One entry per layer of a language model, for `num_seqs` sequences."""

    def __init__(
        self, layers: list[AttentionCache | MambaCache | None], lengths: list[int]
    ) -> None:
        self.layers = layers
        self.lengths = lengths
        # what the one-token steps over these tensors share, kept by the model that made it
        self.step: Step | None = None

    @classmethod
    def allocate(
        cls,
        config: LanguageConfig,
        num_seqs: int = 1,
        *,
        capacity: int = 256,
        device: torch.device | str | Sequence[torch.device] | None = None,
        dtype: torch.dtype = torch.float32,
        ssm: SsmRounding | None = None,
        fp8: Mapping[int, Fp8Scales] | None = None,
    ) -> "Cache":
        """Empty caches; `capacity` tokens are reserved in attention layers and grow on demand.

        Args:
            device: of all layers, or of each.
            ssm: how the states of scans are kept in few bits; in float32 if None.
            fp8: attention layers, by number, that keep E4M3 bytes whatever `dtype` is.
        """
        layers: list[AttentionCache | MambaCache | None] = []
        pattern = config.hybrid_override_pattern
        if device is None or isinstance(device, torch.device | str):
            devices = [device] * len(pattern)
        else:
            devices = device
        for idx, (letter, place) in enumerate(zip(pattern, devices, strict=True)):
            if letter == "*":
                shape = (num_seqs, config.num_key_value_heads, capacity, config.head_dim)
                # zeros, for what lies behind a short sequence gets weight 0, and 0 times nan is nan
                scales = (fp8 or {}).get(idx)
                kept = dtype if scales is None else torch.uint8
                keys = torch.zeros(shape, device=place, dtype=kept)
                values, lengths = torch.zeros_like(keys), [0] * num_seqs
                layers.append(AttentionCache(keys, values, lengths, fp8=scales))
            elif letter in "Mm":
                channels = config.mamba_conv_size if letter == "M" else config.mamba_inner_size
                rows = torch.zeros(
                    (num_seqs, config.conv_kernel - 1, channels),
                    device=place,
                    dtype=dtype,
                )
                heads, width = config.mamba_num_heads, config.mamba_head_dim
                shape = (num_seqs, heads, width, config.ssm_state_size)
                layers.append(MambaCache.allocate(rows, shape, rounding=ssm, layer=idx))
            else:
                layers.append(None)
        return cls(layers, [0] * num_seqs)

    @property
    def num_seqs(self) -> int:
        return len(self.lengths)

    @property
    def num_bytes(self) -> int:
        """Bytes held, reserved capacity included."""
        return sum(tensor.nbytes for tensor in self.tensors())

    def tensors(self) -> Iterator[Tensor]:
        """Everything held."""
        for layer in self.layers:
            if isinstance(layer, AttentionCache):
                yield from (layer.keys, layer.values)
            elif isinstance(layer, MambaCache):
                yield from layer.tensors()

    def advance(self, counts: list[int]) -> None:
        """Count the tokens a forward has just added to each sequence."""
        self.lengths = [length + n for length, n in zip(self.lengths, counts, strict=True)]

    def select(self, seqs: list[int]) -> "Cache":
        """A copy that holds only the given sequences, in that order (repeats fork a sequence).

        Raises:
            InputError: a sequence number is out of range.
        """
        for s in seqs:
            if not 0 <= s < self.num_seqs:
                raise InputError(f"Sequence {s} is not in a cache of {self.num_seqs} sequences.")
        layers = [None if layer is None else layer.select(seqs) for layer in self.layers]
        return Cache(layers, [self.lengths[s] for s in seqs])

    @classmethod
    def join(cls, caches: Sequence["Cache"], *, spare: int = 64) -> "Cache":
        """The sequences of several caches of one model in a new one, in order.

        Attention layers have room for `spare` tokens more than the longest sequence, and grow.
        """
        layers: list[AttentionCache | MambaCache | None] = []
        for parts in zip(*(cache.layers for cache in caches), strict=True):
            attention = [part for part in parts if isinstance(part, AttentionCache)]
            mamba = [part for part in parts if isinstance(part, MambaCache)]
            if attention:
                layers.append(AttentionCache.join(attention, spare=spare))
            else:
                layers.append(MambaCache.join(mamba) if mamba else None)
        return cls(layers, [length for cache in caches for length in cache.lengths])

    def fork(self) -> "Cache":
        """A copy that can go another way."""
        return self.select(list(range(self.num_seqs)))

    def snapshot(self) -> "Snapshot":
        """A point to roll back to: states are copied, keys and values only counted."""
        states = [layer.copy() if isinstance(layer, MambaCache) else None for layer in self.layers]
        return Snapshot(states, list(self.lengths))

    def restore(self, snapshot: "Snapshot") -> None:
        """Forget everything since `snapshot` (which can be restored again)."""
        for layer, saved in zip(self.layers, snapshot.states, strict=True):
            if isinstance(layer, MambaCache) and saved is not None:
                layer.restore(saved)
            elif isinstance(layer, AttentionCache):
                layer.lengths = list(snapshot.lengths)
        self.lengths = list(snapshot.lengths)


@dataclass(frozen=True)
class Snapshot:
    """What `Cache.restore` needs: the recurrent states and every sequence's length."""

    states: list[MambaCache | None]
    lengths: list[int]
