"""From files to model inputs: media, chat, processor, shards, packing, synthetic documents."""
