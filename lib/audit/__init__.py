"""The audit: the JSON document of a run, and how it gets onto the disk whole."""

from lib.audit.document import (
    Audit,
    Completeness,
    Config,
    Gap,
    Processed,
    Requests,
    Retry,
    RunFacts,
    Summary,
    Timing,
    build_audit,
    cleaned,
    key_docs,
    requests,
    rfc3339,
    timing,
)
from lib.audit.files import check_output_path, write_audit, write_file

__all__ = [
    "Audit",
    "Completeness",
    "Config",
    "Gap",
    "Processed",
    "Requests",
    "Retry",
    "RunFacts",
    "Summary",
    "Timing",
    "build_audit",
    "check_output_path",
    "cleaned",
    "key_docs",
    "requests",
    "rfc3339",
    "timing",
    "write_audit",
    "write_file",
]
