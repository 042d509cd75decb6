"""Stand-ins for what is outside of OMS, for trying it out and for tests. No production image contains them."""
