"""Appliances that replace a part of the framework by their own (README, "Replacing a part")."""
