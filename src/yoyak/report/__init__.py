"""How a person sees it: one view of the records, and its renderings. Nothing below needs this."""
