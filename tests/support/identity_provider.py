"""A small OpenID Connect provider on loopback: signs real tokens, keeps to PKCE, and does wrong what a test wants."""

import base64
import hashlib
import secrets
import threading
import time
from contextlib import contextmanager
from urllib.parse import urlencode

from flask import Flask, redirect, request
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from werkzeug.serving import make_server

CLIENT = ("wavegate", "a-secret-of-the-client")


class IdentityProvider:
    """Says of everybody who comes that they are `claims`."""

    def __init__(self):
        self.url = ""
        self.claims = {"sub": "1234", "email": "ada@example.com", "groups": ["search"]}
        self.key = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})
        self.wrong = {}
        self.codes = {}
        self.app = Flask("provider")
        self.app.get("/.well-known/openid-configuration")(self.discovery)
        self.app.get("/authorize")(self.authorize)
        self.app.post("/token")(self.token)
        self.app.get("/keys")(self.keys)

    def discovery(self):
        return {
            "issuer": self.wrong.get("discovered_issuer", self.url),
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
        }

    def authorize(self):
        asked = request.args
        if "error" in self.wrong:
            back = {"error": self.wrong["error"], "state": asked["state"]}
            return redirect(f"{asked['redirect_uri']}?{urlencode(back)}")
        assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
        code = secrets.token_urlsafe()
        self.codes[code] = asked.to_dict()
        return redirect(f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}")

    def token(self):
        form, sent = request.form, self.codes.pop(request.form["code"], None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=")
        known = request.authorization and (request.authorization.username, request.authorization.password) == CLIENT
        if not known or sent is None or sent["code_challenge"] != challenge.decode():
            return {"error": "invalid_grant"}, 400
        if "no_id_token" in self.wrong:
            return {"access_token": "x", "token_type": "Bearer"}
        now = int(self.wrong.get("now", time.time()))
        claims = {"iss": self.url, "aud": CLIENT[0], "iat": now, "exp": now + 300, "nonce": sent["nonce"]}
        claims |= self.claims | self.wrong.get("claims", {})
        key = RSAKey.generate_key(2048, {"kid": "one"}) if "key" in self.wrong else self.key
        token = jwt.encode({"alg": "RS256", "kid": "one"}, claims, key)
        if "unsigned" in self.wrong:
            head, body, _ = token.split(".")
            head = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
            token = f"{head}.{body}."
        return {"access_token": "x", "token_type": "Bearer", "id_token": token}

    def keys(self):
        return KeySet([self.key]).as_dict(private=False)


@contextmanager
def identity_provider():
    provider = IdentityProvider()
    server = make_server("127.0.0.1", 0, provider.app, threaded=True)
    provider.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
