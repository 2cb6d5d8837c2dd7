"""Bamba: Mamba-2 and rotary attention, each followed by a gated MLP."""

from .bamba_config import ARCHITECTURE, MODEL_TYPE, config_from_json, config_to_json
from .names import Family, labelled
from .paired import PairedNames

NAMES = PairedNames(
    final_norm="final_layernorm", second_norm="pre_ff_layernorm", second={"": "feed_forward."}
)

FAMILY = Family(
    name=MODEL_TYPE,
    recognises=labelled(MODEL_TYPE, ARCHITECTURE),
    read_config=lambda values, strict: config_from_json(values, strict=strict),
    write_config=lambda config: {**config_to_json(config), "architectures": [ARCHITECTURE]},
    place=NAMES.place,
    disk_name=NAMES.disk_name,
)
