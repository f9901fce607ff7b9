"""Read dialogues: the contest's files, strictly checked, cleaned by declared rules, as prompts.

``text_file`` reads any path, ``rows`` the records in it, ``corpus`` a data folder and
``prediction_files`` predictions and references of any origin. ``clean`` removes noise and counts
it, ``prompt`` renders a dialogue for a model, ``audit`` finds contradictions, leaks and copies.
"""
