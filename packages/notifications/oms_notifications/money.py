"""Formats amounts for people. Amounts are integers in minor units everywhere, even here: money is never a float."""

# The currencies that do not have 2 decimals in ISO 4217.
_EXCEPTIONS = (
    (0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"),
    (3, "BHD IQD JOD KWD LYD OMR TND"),
    (4, "CLF UYW"),
)
_DECIMALS = {code: decimals for decimals, codes in _EXCEPTIONS for code in codes.split()}


def amount(minor: int, currency: str) -> str:
    """`123450` US cents as `USD 1,234.50`."""
    decimals = _DECIMALS.get(currency, 2)
    if decimals == 0:
        return f"{currency} {minor:,}"
    major, rest = divmod(minor, 10**decimals)
    return f"{currency} {major:,}.{rest:0{decimals}d}"
