"""Processes on one machine: started in order, started again when they die, stopped in order."""
