"""Problems for requests that are refused while they are being read, before any route sees them."""

from oms_chassis.http.problems import Problem


class HeadTooLarge(Problem):
    """The request line and the headers exceed the limit."""

    status, kind, title = 431, "head-too-large", "The request's headers are too large"


class RequestTimeout(Problem):
    """A request began, but was not completed in time."""

    status, kind, title = 408, "request-timeout", "The rest of the request did not come in time"


class UnsupportedTransferCoding(Problem):
    """A body may be sent in chunks, but with no other transfer coding (RFC 9112, 6.1)."""

    status, kind, title = 501, "unsupported-transfer-coding", "The only transfer coding is chunked"


class VersionNotSupported(Problem):
    """Other major versions of HTTP are left to the proxy in front of the service (RFC 9110, 15.6.6)."""

    status, kind, title = 505, "http-version-not-supported", "The only version of HTTP is 1.1"
