"""Appliances that come with netapp. Read these first."""
