"""A catalogue's Delta tables: read by their log without a JVM, written by Spark."""
