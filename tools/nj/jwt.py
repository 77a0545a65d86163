"""Tokens for the stack's own HS256 key. Format of the key file: common/wire/jwt.h."""

import base64
import hashlib
import hmac
import json
import os
import re
import secrets
import time

from nj.common import Failed, read_text, write_file

UID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
DEVICE = re.compile(r"[A-Za-z0-9_-]{1,32}")
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def make_key_file(path):
    """A random key that only this user can read; an existing file is kept, and its tokens with it."""
    if not os.path.exists(path):
        key = {"kid": "k1", "alg": "HS256", "secret": b64(secrets.token_bytes(32))}
        write_file(path, json.dumps({"keys": [key]}, indent=2) + "\n", mode=0o600)


def seconds(text):
    match = re.fullmatch(r"(\d+)([smhd]?)", text)
    if not match:
        raise Failed(f"--ttl {text!r}: a number and s, m, h or d, as in 24h", code=2)
    return int(match[1]) * UNITS[match[2] or "s"]


def sign(key_file, uid, device=None, ttl=86400, service=False):
    if not UID.fullmatch(uid):
        raise Failed(f"{uid!r} is no user id: 1-64 of letters, digits, '_', '.', '-'", code=2)
    if device is not None and not DEVICE.fullmatch(device):
        raise Failed(f"{device!r} is no device: 1-32 of letters, digits, '_', '-'", code=2)
    try:
        keys = json.loads(read_text(key_file))["keys"]
        key = next(key for key in keys if key["alg"] == "HS256")
        secret = base64.urlsafe_b64decode(key["secret"] + "=" * (-len(key["secret"]) % 4))
    except FileNotFoundError:
        raise Failed(f"{key_file} is not there; ./nj up makes it") from None
    except (OSError, ValueError, KeyError, StopIteration) as error:
        raise Failed(f"no HS256 key to sign with in {key_file}: {error or 'none listed'}") from None
    claims = {"sub": uid, "exp": int(time.time()) + ttl}
    if device is not None:
        claims["dev"] = device
    if service:
        claims["svc"] = True
    head = {"alg": "HS256", "typ": "JWT", "kid": key["kid"]}
    signed = ".".join(b64(json.dumps(part, separators=(",", ":")).encode()) for part in (head, claims))
    return signed + "." + b64(hmac.new(secret, signed.encode(), hashlib.sha256).digest())
