"""Keys and tokens, made with PyJWT and cryptography."""

import base64
import json
import secrets
import time

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Key:
    """One key: `entry` is its line in the key file, `private` what signs."""

    def __init__(self, kid, alg):
        self.kid, self.alg = kid, alg
        if alg == "HS256":
            self.private = secrets.token_bytes(32)
            self.entry = {"kid": kid, "alg": alg, "secret": b64(self.private)}
            return
        key = ec.generate_private_key(ec.SECP256R1()) if alg == "ES256" else \
            rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.private = key
        self.pem = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
        self.entry = {"kid": kid, "alg": alg, "pem": self.pem}

    def sign(self, uid, ttl=3600, headers=None, **claims):
        claims = {"sub": uid, "exp": int(time.time()) + ttl, **claims}
        claims = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(claims, self.private, algorithm=self.alg,
                          headers={"kid": self.kid} if headers is None else headers)


def unsigned(uid, alg="none"):
    head = b64(json.dumps({"alg": alg, "typ": "JWT", "kid": "k1"}).encode())
    body = b64(json.dumps({"sub": uid, "exp": int(time.time()) + 3600}).encode())
    return f"{head}.{body}."


def write_key_file(path, keys):
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"keys": [key.entry for key in keys]}, file)
