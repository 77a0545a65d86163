"""What the notifier makes for push gateways, read by code that nobody here wrote: http-ece decrypts
Web Push as a browser does, py-vapid and PyJWT check who signed."""

import base64
import json
import os
import subprocess
import time
import urllib.parse

import http_ece
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from py_vapid import Vapid02

from harness.proto import ROOT
from harness.waiting import PRESET

SAMPLES = os.path.join(ROOT, "build", PRESET, "tests", "unit", "notifier", "nightjar-push-samples")
ENDPOINT = "https://push.example.net:8443/send/abc"


def b64(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption()).decode()


def point(key):
    return key.public_key().public_bytes(serialization.Encoding.X962,
                                         serialization.PublicFormat.UncompressedPoint)


class Keys:
    def __init__(self):
        self.browser, self.vapid, self.apns = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
        self.account = rsa.generate_private_key(65537, 2048)
        self.auth = os.urandom(16)


@pytest.fixture(scope="module")
def keys():
    return Keys()


def requests(keys, text):
    given = {"now_ms": int(time.time() * 1000), "text": text, "endpoint": ENDPOINT,
             "p256dh": b64(point(keys.browser)), "auth": b64(keys.auth),
             "vapid_pem": pem(keys.vapid), "apns_pem": pem(keys.apns),
             "fcm_account": {"type": "service_account", "project_id": "p", "private_key_id": "k",
                             "private_key": pem(keys.account), "client_email": "push@p.example",
                             "token_uri": "https://oauth.example/token"}}
    done = subprocess.run([SAMPLES], input=json.dumps(given), capture_output=True, text=True,
                          timeout=60, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("text", ["hi", "Grüße \N{GRINNING FACE}", "x" * 16384])
def test_a_browser_decrypts_web_push(keys, text):
    body = unb64(requests(keys, text)["web_push"]["body"])
    assert len(body) <= 4096
    shown = json.loads(http_ece.decrypt(body, private_key=keys.browser, auth_secret=keys.auth,
                                        version="aes128gcm"))
    assert shown["title"] == "alice" and shown["chat"] == "dm:alice:bob" and shown["count"] == 2
    assert shown["body"] == text or (shown["body"].endswith("…") and text.startswith(shown["body"][:-1]))


def test_another_browser_does_not(keys):
    body = unb64(requests(keys, "hi")["web_push"]["body"])
    with pytest.raises(Exception):
        http_ece.decrypt(body, private_key=ec.generate_private_key(ec.SECP256R1()),
                         auth_secret=keys.auth, version="aes128gcm")


def test_vapid_holds(keys):
    header = requests(keys, "hi")["web_push"]["headers"]["authorization"]
    assert Vapid02.verify(header)
    token, key = (part.split("=", 1)[1] for part in header.removeprefix("vapid ").split(","))
    assert unb64(key) == point(keys.vapid)
    claims = jwt.decode(token, keys.vapid.public_key(), algorithms=["ES256"],
                        audience="https://push.example.net:8443")
    assert claims["sub"] == "mailto:ops@example.com"
    assert 0 < claims["exp"] - time.time() <= 24 * 3600


def test_apns_token(keys):
    header = requests(keys, "hi")["apns"]["headers"]["authorization"]
    token = header.removeprefix("bearer ")
    assert jwt.get_unverified_header(token) == {"alg": "ES256", "kid": "KEY1234567"}
    claims = jwt.decode(token, keys.apns.public_key(), algorithms=["ES256"])
    assert claims["iss"] == "TEAM123456" and abs(claims["iat"] - time.time()) < 300


def test_fcm_statement(keys):
    made = requests(keys, "hi")
    form = urllib.parse.parse_qs(unb64(made["fcm_token"]["body"]).decode())
    assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    claims = jwt.decode(form["assertion"][0], keys.account.public_key(), algorithms=["RS256"],
                        audience="https://oauth.example/token")
    assert claims["iss"] == "push@p.example" and claims["exp"] - claims["iat"] == 3600
    assert json.loads(unb64(made["fcm"]["body"]))["message"]["token"] == "device"
