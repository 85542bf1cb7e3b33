"""``python -m pathspider`` is ``pspdr``."""

import sys

from pathspider.cmd.main import main

sys.exit(main())
