"""How good a summary is: the contest's ROUGE on Korean morphemes, and what may be said with it.

``analyse`` cuts texts into morphemes, ``definition`` names a way of scoring, ``rouge`` computes
it, ``pairwise`` scores candidates against each other. The room needs no torch and no Java.
"""
