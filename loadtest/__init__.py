"""Load and its counterparts: simulators of the outside world, and people who use Dana."""
