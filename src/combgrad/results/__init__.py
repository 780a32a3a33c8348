"""What runs leave behind, and what is made of it; no torch in here."""

from combgrad.results.record import RunRecord
from combgrad.results.store import load_record, load_records, save_record

__all__ = ["RunRecord", "load_record", "load_records", "save_record"]
