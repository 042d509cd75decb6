"""Stand-ins for what is outside of OMS, for trying it out and for tests: no production image holds them."""
