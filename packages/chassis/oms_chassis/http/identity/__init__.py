"""Who calls, and what they may: API keys, an issuer's tokens, scopes, and limits per caller."""
