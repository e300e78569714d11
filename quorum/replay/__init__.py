"""An exchange on this machine, and a synthetic market to serve."""
