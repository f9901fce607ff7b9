"""Which answer is handed in: candidates, consensus, and the gate that writes submission.csv."""
