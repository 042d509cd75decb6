"""Identifies callers and limits what they may do: API keys, an issuer's tokens, scopes, and rate limits."""
