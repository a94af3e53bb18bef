"""Parquet files by any writer: judged first, then read."""
