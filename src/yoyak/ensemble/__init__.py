"""Choose one answer per dialogue out of many: MBR, voting, decode search, cross-validation."""
