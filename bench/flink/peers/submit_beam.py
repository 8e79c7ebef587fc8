"""Submits trades_beam: its classes are found by the module's name, here and in the workers."""

from trades_beam import main

main()
