"""Describes why a provider could not be reached, without quoting anything that was sent or received."""

import ssl

# By OpenSSL's codes (x509_vfy.h): its own texts may quote names of the certificate.
_CERTIFICATES = {
    9: "not valid yet",
    10: "expired",
    18: "self-signed",
    19: "of an unknown authority",
    20: "of an unknown authority",
    21: "of an unknown authority",
    23: "revoked",
    62: "of another host",
    64: "of another address",
}


def name(error: BaseException) -> str:
    """The class of an error, with the reason if a certificate is not trusted or TLS failed: operators need it."""
    kind = type(error).__name__
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{kind}: {_CERTIFICATES.get(error.verify_code, f'code {error.verify_code}')}"
    if isinstance(error, ssl.SSLError) and error.reason:
        return f"{kind}: {error.reason}"  # OpenSSL's name of it, such as WRONG_VERSION_NUMBER where TLS is not spoken
    return kind
