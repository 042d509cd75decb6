"""The tables of the SMS Service: what every notification service has, and no more."""

from oms_notifications.tables import MessageRow, Tables

__all__ = ["MessageRow", "Tables"]
