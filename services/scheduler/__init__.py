"""scheduler: the only clock in the system. Finds what is due and tells it as facts."""
