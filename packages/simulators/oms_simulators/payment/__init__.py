"""A payment gateway that needs no network: test cards with known outcomes, and a ledger of the money that moved."""
