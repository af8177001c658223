"""The reader of any task's own text: CSV, TSV, JSON, Parquet and text files."""
