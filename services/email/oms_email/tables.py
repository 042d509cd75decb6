"""The tables of the Email Service: only those that every notification service has."""

from oms_notifications.tables import MessageRow, Tables

__all__ = ["MessageRow", "Tables"]
