"""Files that hold records: reading them, one record at a time, each with its place (``file:line``, lines from 1)."""

from .kinds import SUFFIXES, Kind, is_data, kind_of
from .reading import Found, read_records

__all__ = ["SUFFIXES", "Found", "Kind", "is_data", "kind_of", "read_records"]
