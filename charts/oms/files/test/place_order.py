"""Places an order and waits until it is confirmed, which involves the services, their databases and Kafka.

If payments are real, or emails or SMS are and no customer is given, it only checks that the order service answers.
"""

import http.client
import json
import os
import sys
import time
import urllib.error
import urllib.request
import uuid

URL, ITEM = os.environ["URL"], os.environ["ITEM"]
ORDER = {
    "customer": {
        "name": "Helm Test",
        "email": os.environ.get("EMAIL") or "helm-test@example.com",
        "phoneNumber": os.environ.get("PHONE") or "762222222",
    },
    "items": [{"id": ITEM, "quantity": 1}],
    "paymentDetails": {"name": "Helm Test", "cardNumber": "1234", "expiryDate": "02/22", "cvv": "123"},
}
CREDENTIAL, IS_OPEN = os.environ.get("CREDENTIAL"), os.environ["AUTH"] == "none"
KEY = str(uuid.uuid4())  # the same order, however often it is sent
deadline = time.monotonic() + float(os.environ["SECONDS"])


class Refused(Exception):
    """The service answered with a problem."""

    def __init__(self, code, said):
        super().__init__(f"{URL} answers {code}: {said}")
        self.code, self.is_for_now = code, code in (429, 503) or "idempotency-key-in-use" in said


def ask(path, body):
    request = urllib.request.Request(URL + path, body and json.dumps(body).encode())
    request.add_header("Content-Type", "application/json")
    if body:
        request.add_header("Idempotency-Key", KEY)
    if CREDENTIAL:
        request.add_header("Authorization", f"Bearer {CREDENTIAL}")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise Refused(error.code, error.read().decode(errors="replace")) from None


def call(path, body=None):
    """Return the answer, and retry until there is one. Network policies may take effect for a pod only after it has
    started, a new order service may not know its items yet, and a pod that is replaced may fail to answer."""
    while True:
        try:
            return ask(path, body)
        except Refused as refused:
            if not refused.is_for_now or time.monotonic() > deadline:
                raise
            print(f"will be retried: {refused}", flush=True)
        except (OSError, ValueError, http.client.HTTPException) as error:
            why = getattr(error, "reason", None) or repr(error)
            if time.monotonic() > deadline:
                sys.exit(f"{URL} cannot be reached: {why}")
            print(f"{URL} cannot be reached yet: {why}", flush=True)
        time.sleep(0.5)


if not (IS_OPEN or CREDENTIAL):
    try:
        call("/order?limit=1")
    except Refused as refused:
        print(f"a caller without credentials gets {refused.code}; with test.existingSecret, an order is placed")
        sys.exit(refused.code != 401)
    sys.exit("a caller without credentials could read orders")

REAL = os.environ.get("REAL", "")
if "payments" in REAL or (REAL and not (os.environ.get("EMAIL") and os.environ.get("PHONE"))):
    try:
        call("/order?limit=1")
    except Refused as refused:
        if refused.code not in (401, 403):  # those are answers, too: it wants a credential
            sys.exit(str(refused))
    print(f"order answers. No order was placed, because {REAL} are real: test.customer says in whose name")
    sys.exit(0)

try:
    order = call("/order", ORDER)["id"]
    status = "PENDING"
    while status in ("PENDING", "PAID"):
        if time.monotonic() > deadline:
            sys.exit(f"order {order} is still {status}")
        time.sleep(0.5)
        status = call(f"/order/{order}")["status"]
except Refused as refused:
    sys.exit(str(refused))
print(f"order {order} is {status}")
sys.exit(status != "CONFIRMED")
