"""What we learn from: the contest's files, read strictly, cleaned by declared rules, and shown.

``tables`` reads files, ``corpus`` holds them to the contest's contract, ``clean`` removes noise
and counts it, ``prompt`` shows a dialogue to a model, ``audit`` looks for what makes a score lie.
"""
