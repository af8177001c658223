"""ExampleGen for text: a verified source to splits of Examples, and a ledger of every record."""
