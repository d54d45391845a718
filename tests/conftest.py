"""How long the property tests search."""

import os

from hypothesis import settings

# "fast" is for every run; "thorough", for 'bin/dax-vo test all', finds rarer
# cases.  Machines of continuous integration are slow and shared: no deadline.
settings.register_profile("fast", max_examples=60, deadline=None)
settings.register_profile("thorough", max_examples=400, deadline=None)
settings.load_profile(os.environ.get("DAX_VO_HYPOTHESIS", "fast"))
