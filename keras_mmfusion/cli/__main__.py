"""`python -m keras_mmfusion.cli` is the command `mmfusion`."""

import sys

from keras_mmfusion.cli import main

sys.exit(main())
