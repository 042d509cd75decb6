"""The tables of the SMS Service: only those that every notification service has."""

from oms_notifications.tables import MessageRow, Tables

__all__ = ["MessageRow", "Tables"]
