"""InfraCheck: loads and tests an export as a server would, before it is pushed."""
