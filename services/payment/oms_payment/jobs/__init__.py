"""The service's external calls: charges and refunds at the gateway."""
