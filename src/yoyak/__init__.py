"""yoyak (요약): from dialogue CSVs to a Korean summarisation submission you can trust."""

__version__ = "0.1.0"
