"""Makes the secrets that are absent, adds keys that an existing one lacks, and leaves everything else unchanged."""

import base64
import json
import os
import secrets
import ssl
import string
import urllib.error
import urllib.request

ACCOUNT = os.environ.get("ACCOUNT", "/var/run/secrets/kubernetes.io/serviceaccount")
HOST, PORT = os.environ.get("KUBERNETES_SERVICE_HOST", ""), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
API = os.environ.get("API") or f"https://{f'[{HOST}]' if ':' in HOST else HOST}:{PORT}"
URL = f"{API}/api/v1/namespaces/{os.environ['NAMESPACE']}/secrets"
LETTERS = string.ascii_letters + string.digits
# An Argo CD that tracks resources by labels would remove those that are in no manifest.
ANNOTATIONS = {
    "argocd.argoproj.io/compare-options": "IgnoreExtraneous",
    "argocd.argoproj.io/sync-options": "Prune=false,Delete=false",
    "helm.sh/resource-policy": "keep",
}


def call(method, url, body=None):
    kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
    with open(f"{ACCOUNT}/token") as token:
        headers = {"Authorization": f"Bearer {token.read().strip()}", "Content-Type": kind}
    request = urllib.request.Request(url, body and json.dumps(body).encode(), headers, method=method)
    trust = ssl.create_default_context(cafile=f"{ACCOUNT}/ca.crt") if API.startswith("https") else None
    with urllib.request.urlopen(request, timeout=20, context=trust) as answer:
        return json.load(answer)


def find(name):
    try:
        return call("GET", f"{URL}/{name}")
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise
        return None


def values(wanted, kept):
    """Return the data to add to the secret, by key; existing keys stay."""
    found = {key: base64.b64decode(value).decode() for key, value in kept.items()}
    for key, length in wanted["random"].items():
        found.setdefault(key, "".join(secrets.choice(LETTERS) for _ in range(int(length))))
    for key, text in wanted["text"].items():
        for name in wanted["random"]:
            text = text.replace(f"${{{name}}}", found[name])
        found.setdefault(key, text)
    return {key: base64.b64encode(value.encode()).decode() for key, value in found.items() if key not in kept}


def labels(component):
    instance = {"name": os.environ["CHART_NAME"], "instance": os.environ["INSTANCE"], "part-of": "oms"}
    return {f"app.kubernetes.io/{key}": value for key, value in {**instance, "component": component}.items()}


for suffix, wanted in json.loads(os.environ["SECRETS"]).items():
    name = f"{os.environ['PREFIX']}-{suffix}"
    found = find(name)
    new = values(wanted, (found or {}).get("data") or {})
    if found is None:
        metadata = {"name": name, "labels": labels(wanted["component"]), "annotations": ANNOTATIONS}
        call("POST", URL, {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": new})
    elif new:
        call("PATCH", f"{URL}/{name}", {"data": new})
    print(json.dumps({"event": "secret_made" if found is None else "secret_kept", "name": name, "added": sorted(new)}))
