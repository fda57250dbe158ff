"""What every program needs: arguments, the run, checkpoints, devices, the run record."""
