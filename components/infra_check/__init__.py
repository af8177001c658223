"""InfraCheck: loads and exercises an export as a server would, before it is pushed."""
