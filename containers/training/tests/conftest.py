"""Threads of the libraries sleep while they wait, as the program lets them: before anything loads them."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
