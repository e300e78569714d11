"""One self-contained page that tells the truth about a run."""
