"""The hybrid language model: embeddings, a block a layer, final norm, head, MTP head.

    x = x + mixer(norm(x))      for every letter of the pattern: `block.py`

Tokens travel packed: `(tokens, hidden)` with `cu_seqlens`. Letters: T tokens, D hidden.
"""

from functools import partial

import torch
from torch import Tensor, nn

from ..errors import ConfigError
from .block import Block, MultiTokenPrediction
from .cache import AttentionCache, Cache, Fp8Scales
from .config import LanguageConfig
from .layers.attention import AttentionMixer
from .layers.norm import RMSNorm
from .mamba_cache import SsmKind, SsmRounding
from .ops.arena import lay_out
from .ops.decode import Step, build_step
from .ops.linear import Linear
from .packed_row import PackedRow
from .quantize.declared_files import DeclaredFiles
from .quantize.packed import PackedWeight


class LanguageModel(nn.Module):
    def __init__(self, config: LanguageConfig) -> None:
        super().__init__()
        self.config = config
        self.embeddings = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Block(config, c) for c in config.hybrid_override_pattern)
        self.norm_f = RMSNorm(config.hidden_size, eps=config.layer_norm_epsilon)
        self.lm_head = Linear(config.hidden_size, config.vocab_size, bias=False)
        if config.tie_word_embeddings:
            self.lm_head.weight = self.embeddings.weight
        self.mtp = MultiTokenPrediction(config) if config.num_nextn_predict_layers else None
        self.kv_cache: str | None = None
        self.ssm_cache: SsmRounding | None = None
        self.is_spread = False  # over several devices, layer by layer
        self.declared_files: DeclaredFiles | None = None  # of packed weights, to be written back
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Normal weights of `initializer_range`; products into the residual scaled by depth."""
        std = self.config.initializer_range
        into_residual = std / max(1, len(self.layers)) ** 0.5
        for name, parameter in self.named_parameters():
            if parameter.dim() < 2 or name.endswith(("conv1d.weight", "A_log")):
                continue
            residual = name.endswith(
                ("out_proj.weight", "o_proj.weight", "down_proj.weight", "down_proj")
            )
            nn.init.normal_(parameter, std=into_residual if residual else std)

    def weights_read_together(self) -> list[tuple[list[Tensor], int]]:
        """The large weights in the order a token meets them, as `ops.arena.lay_out` takes them.

        Packed ones are left out.
        """
        groups: list[tuple[list[Tensor], int]] = []
        for layer in self.layers:
            if isinstance(layer, Block):
                groups += layer.mixer.weights_read_together()
        if not self.config.tie_word_embeddings:
            groups.append(([self.lm_head.weight], 0))
        plain = [([w for w in weights if isinstance(w, Tensor)], dim) for weights, dim in groups]
        return [(weights, dim) for weights, dim in plain if weights]

    def prepare_for_decoding(self) -> "LanguageModel":
        """Lay the weights out in memory as single rows read them fastest, for float32 on a CPU.

        Names, shapes and values stay. For a model that is done training and stays where it is.
        """
        groups = self.weights_read_together()
        kinds = {(weight.device.type, weight.dtype) for weights, _ in groups for weight in weights}
        if kinds == {("cpu", torch.float32)}:
            lay_out(groups)
        return self

    @property
    def device(self) -> torch.device:
        """Where ids and embeddings are taken."""
        return self.embeddings.weight.device

    @property
    def head_device(self) -> torch.device:
        """Where hidden states and logits are given out."""
        return self.norm_f.weight.device

    @property
    def is_packed(self) -> bool:
        """Whether any weight is kept in few bits and widened as it is used."""
        return any(isinstance(module, PackedWeight) for module in self.modules())

    def use_kv_cache(self, kind: str | None, *, declared: str | None = None) -> None:
        """Choose what `allocate_cache` keeps keys and values in.

        Args:
            kind: "fp8", or None for the model's own number format.
            declared: what the checkpoint says of its cache's scales.

        Raises:
            ConfigError: there is no such kind, or the scales are of another one.
        """
        if kind not in (None, "fp8"):
            raise ConfigError(f"kv_cache is {kind!r}; it must be 'fp8' or None.")
        if kind == "fp8" and declared not in (None, "FP8"):
            raise ConfigError(
                f"The checkpoint declares a cache in {declared}; its scales are of no use for FP8."
            )
        self.kv_cache = kind

    def use_ssm_cache(self, kind: SsmKind | None, *, seed: int = 0) -> None:
        """Choose what `allocate_cache` keeps the states of scans in.

        Args:
            kind: "float16" or "int8", rounded by chance; None for float32.
            seed: of the chances; the same one rounds the same sequence alike.

        Raises:
            ConfigError: there is no such kind.
        """
        self.ssm_cache = None if kind is None else SsmRounding(kind=kind, seed=seed)

    def allocate_cache(self, num_seqs: int = 1, *, capacity: int = 256) -> Cache:
        """An empty cache where each layer is, in its number format or as was chosen."""
        weight = self.embeddings.weight
        fp8 = None
        if self.kv_cache == "fp8":
            mixers = [layer.mixer for layer in self.layers if isinstance(layer, Block)]
            fp8 = {
                idx: Fp8Scales(key=mixer.k_scale, value=mixer.v_scale)
                for idx, mixer in enumerate(mixers)
                if isinstance(mixer, AttentionMixer)
            }
        return Cache.allocate(
            self.config,
            num_seqs,
            capacity=capacity,
            device=[layer.device for layer in self.layers if isinstance(layer, Block)],
            dtype=weight.dtype,
            ssm=self.ssm_cache,
            fp8=fp8,
        )

    def embed(self, input_ids: Tensor) -> Tensor:
        """Token embeddings `(T, D)`."""
        embeds = self.embeddings(input_ids)
        factor = self.config.multipliers.embedding
        return embeds if factor == 1.0 else embeds * factor

    def forward(
        self, inputs_embeds: Tensor, *, cu_seqlens: Tensor | None = None, cache: Cache | None = None
    ) -> Tensor:
        """Run every layer over a packed row.

        Args:
            inputs_embeds: `(T, D)`.
            cu_seqlens: int32 boundaries; one sequence if None.
            cache: continued and updated; its sequences are the row's, in order.

        Returns:
            Hidden states `(T, D)` after the final norm, on `head_device`.

        Raises:
            InputError: the boundaries do not fit the row.
        """
        row = PackedRow.of(inputs_embeds, cu_seqlens)
        if cache is not None and row.is_decode and not torch.is_grad_enabled():
            cache.step = cache.step or self._build_step(cache)
            x_TD = cache.step(inputs_embeds)
        else:
            x_TD = self._run_layers(inputs_embeds, row, cache)
        if cache is not None:
            cache.advance(row.counts)
        return self.norm_f(x_TD)

    def look(self, inputs_embeds: Tensor, cache: Cache, *, first: int = 0) -> Tensor:
        """Run tokens `(T, D)` into a cache of one sequence, and see what they attend to.

        Args:
            first: the first of them that counts.

        Returns:
            Float32 `(attention layers, heads, tokens in the cache)`, on `head_device`: the sum of
            the rows of those that count.
        """
        row, x_TD, seen = PackedRow.of(inputs_embeds, None), inputs_embeds, []
        for layer, entry in zip(self.layers, cache.layers, strict=True):
            assert isinstance(layer, Block)
            x_TD = x_TD.to(layer.device)
            before_TD = layer.norm(x_TD)
            x_TD = layer(x_TD, row.on(layer.device), entry)
            if isinstance(layer.mixer, AttentionMixer) and isinstance(entry, AttentionCache):
                sums_HK = layer.mixer.attention_sums(before_TD, entry, first=first)
                seen.append(sums_HK.to(self.head_device))
        cache.advance([row.bounds[-1]])
        return torch.stack(seen)

    def _run_layers(self, x_TD: Tensor, row: PackedRow, cache: Cache | None) -> Tensor:
        if self.is_spread:
            return self._run_spread(x_TD, row, cache)
        for idx, layer in enumerate(self.layers):
            x_TD = layer(x_TD, row, None if cache is None else cache.layers[idx])
        return x_TD

    def _run_spread(self, x_TD: Tensor, row: PackedRow, cache: Cache | None) -> Tensor:
        """As `_run_layers`, each layer where its weights are."""
        for idx, layer in enumerate(self.layers):
            assert isinstance(layer, Block)
            x_TD = x_TD.to(layer.device)
            x_TD = layer(x_TD, row.on(layer.device), None if cache is None else cache.layers[idx])
        return x_TD.to(self.head_device)

    def _build_step(self, cache: Cache) -> Step:
        """One token of each sequence of `cache`: the lean step, or the layers one by one.

        The lean step is for float32 on one device alone, on a CPU for packed weights too: narrower
        ones are widened by the layers.
        """
        tensors = [*self.parameters(), *cache.tensors()]
        packed = [module for module in self.modules() if isinstance(module, PackedWeight)]
        on_cpu = all(t.device.type == "cpu" for t in tensors)
        is_known = not packed or (on_cpu and all(weight.tile_kind for weight in packed))
        is_known = is_known and not self.is_spread
        if is_known and all(t.dtype == torch.float32 for t in tensors):
            parts = [layer.decode_weights() for layer in self.layers if isinstance(layer, Block)]
            known = [part for part in parts if part is not None]
            if len(known) == len(parts):
                return build_step(known, cache.layers, cache.num_seqs)
        bounds = torch.arange(cache.num_seqs + 1, dtype=torch.int32)
        return partial(self._run_layers, row=PackedRow(bounds, cache.num_seqs), cache=cache)

    def logits(self, hidden_TD: Tensor) -> Tensor:
        """Float32 logits `(T, vocab)`."""
        logits = self.lm_head(hidden_TD).float()
        divisor = self.config.multipliers.logits_divisor
        return logits if divisor == 1.0 else logits / divisor

    def mtp_hidden(
        self, hidden_TD: Tensor, next_embeds_TD: Tensor, *, cu_seqlens: Tensor | None = None
    ) -> Tensor:
        """Hidden states `(T, D)` of the MTP head: position t predicts token t + 2.

        Args:
            hidden_TD: the trunk's output (after the final norm), or a former MTP output.
            next_embeds_TD: the embedding of token t + 1 at position t.
        """
        assert self.mtp is not None, "this model has no MTP head"
        first = self.mtp.layers[0]
        assert isinstance(first, Block)
        hidden_TD, next_embeds_TD = hidden_TD.to(first.device), next_embeds_TD.to(first.device)
        row = PackedRow.of(hidden_TD, cu_seqlens).on(first.device)
        return self.mtp(hidden_TD, next_embeds_TD, row).to(self.head_device)
