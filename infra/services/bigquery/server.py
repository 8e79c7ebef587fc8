"""Runs bqemulator with DuckDB's extensions from the installed packages, so that it never downloads any."""

import functools
import os
import sys

import duckdb
from bqemulator.cli import main
from bqemulator.storage import type_map
from duckdb_extensions import import_extension

# DuckDB unpacks them there once, beside the packages.
duckdb.connect = functools.partial(
    duckdb.connect,
    config={
        "extension_directory": os.path.join(sys.prefix, "duckdb-extensions"),
        "autoinstall_known_extensions": "false",
    },
)
# DuckDB has no decimals of more than 38 digits: with the emulator's own 76 no table with a BIGNUMERIC can be made.
type_map._BQ_TO_DUCKDB["BIGNUMERIC"] = "DECIMAL(38, 16)"

if __name__ == "__main__":
    with duckdb.connect(":memory:") as connection:
        import_extension("spatial", con=connection)
        import_extension("avro", con=connection)
    main()
