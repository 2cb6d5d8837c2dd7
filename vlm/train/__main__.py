"""`python -m latentvlm.vlm.train recipe.yaml`."""

import sys

from .run import main

sys.exit(main())
