"""Read dialogues: the contest's files, strictly checked, cleaned by declared rules, as prompts.

``rows`` reads CSV and JSONL, ``corpus`` the contest's folder, ``prediction_files`` predictions and
references of any origin; ``clean`` removes noise and counts it, ``prompt`` renders a dialogue for a
model, ``audit`` finds leaks and copies.
"""
