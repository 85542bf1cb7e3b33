"""``pspdr`` as it is, but that a target gets its next probe at once, and that 0.25 s are enough for an answer."""

import sys

from pathspider.cmd.main import main
from pathspider.run import locate

locate.BETWEEN = locate.NEAR = 0.01
locate.PATIENCE = 0.25

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
