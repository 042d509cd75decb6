"""What the service has done outside: charges and refunds at the gateway."""
