"""Amounts as people read them. They are integers in minor units everywhere, here too: no float ever holds money."""

# ISO 4217 gives these currencies another number of decimals than 2.
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
