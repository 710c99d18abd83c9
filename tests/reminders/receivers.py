"""Receivers of pushes and text messages on loopback, in the wire formats that the services document.

The push service opens what it gets by code of its own, written from RFC 8291 and RFC 8188, and checks the signature as
RFC 8292 asks: nothing of the program is used.
"""

import base64
import hashlib
import hmac
import json
import threading
import uuid
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


def b64(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    """The bytes of it."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Reply:
    """What a receiver answers."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


class Receiver:
    """An HTTP server on loopback that keeps what it was sent."""

    def __init__(self) -> None:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                receiver.connections += 1
                super().setup()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                reply = receiver.take(self.path, dict(self.headers.items()), body)
                said = b"" if reply.body is None else json.dumps(reply.body).encode()
                self.send_response(reply.status)
                for name, value in {**reply.headers, "Content-Length": str(len(said))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(said)

            def do_GET(self) -> None:
                receiver.visited.append(self.path)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                """Says nothing."""

        self.visited: list[str] = []
        self.connections = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def take(self, path: str, headers: dict[str, str], body: bytes) -> Reply:
        """What it does with a POST."""
        raise NotImplementedError

    def stop(self) -> None:
        """Ends it."""
        self._server.shutdown()
        self._server.server_close()


class Browser:
    """A browser's subscription: its keys, and how it opens a push."""

    def __init__(self, service: str) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.auth = uuid.uuid4().bytes
        self.path = f"/push/{uuid.uuid4().hex}"
        self.push = {
            "endpoint": service + self.path,
            "keys": {"p256dh": b64(_point(self.key.public_key())), "auth": b64(self.auth)},
        }

    def opened(self, body: bytes) -> bytes:
        """The payload of one record of aes128gcm."""
        salt, size, length = body[:16], int.from_bytes(body[16:20], "big"), body[20]
        sender, sealed = body[21 : 21 + length], body[21 + length :]
        assert len(sealed) <= size, "one record"
        theirs = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender)
        shared = self.key.exchange(ec.ECDH(), theirs)
        ours = _point(self.key.public_key())
        secret = _expand(_hmac(self.auth, shared), b"WebPush: info\0" + ours + sender, 32)
        drawn = _hmac(salt, secret)
        key = _expand(drawn, b"Content-Encoding: aes128gcm\0", 16)
        nonce = _expand(drawn, b"Content-Encoding: nonce\0", 12)
        plain = AESGCM(key).decrypt(nonce, sealed, None).rstrip(b"\0")
        assert plain[-1:] == b"\x02", "the last record"
        return plain[:-1]


def _point(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


def _hmac(key: bytes, data: bytes) -> bytes:
    return hmac.new(key, data, hashlib.sha256).digest()


def _expand(key: bytes, info: bytes, length: int) -> bytes:
    """HKDF's second half, of one block (RFC 5869)."""
    return _hmac(key, info + b"\x01")[:length]


@dataclass
class Pushed:
    """One push that was taken."""

    path: str
    headers: dict[str, str]
    payload: dict[str, Any]
    claims: dict[str, Any]


class PushService(Receiver):
    """A Web Push service (RFC 8030) for browsers that subscribed with one application's key."""

    def __init__(self, application_key: str) -> None:
        super().__init__()
        self._application = application_key
        self.browsers: dict[str, Browser] = {}
        self.taken: list[Pushed] = []
        self.asked = 0
        self.replies: dict[str, Reply] = {}

    def subscribe(self) -> Browser:
        """A new browser."""
        browser = Browser(self.url)
        self.browsers[browser.path] = browser
        return browser

    def take(self, path: str, headers: dict[str, str], body: bytes) -> Reply:
        """Opens a push, or answers as a test wants."""
        self.asked += 1
        if path in self.replies:
            return self.replies[path]
        if path not in self.browsers:
            return Reply(410)
        if headers.get("Content-Encoding") != "aes128gcm" or not headers.get("TTL", "").isdigit():
            return Reply(400)
        claims = self._signed(headers.get("Authorization", ""))
        if claims is None:
            return Reply(403)
        payload = json.loads(self.browsers[path].opened(body))
        self.taken.append(Pushed(path, headers, payload, claims))
        return Reply(201, headers={"Location": f"{self.url}/message/1"})

    def _signed(self, authorization: str) -> dict[str, Any] | None:
        scheme, _, rest = authorization.partition(" ")
        parts = dict(part.strip().split("=", 1) for part in rest.split(","))
        if scheme != "vapid" or parts["k"] != self._application:
            return None
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), unb64(parts["k"]))
        try:
            # The instant is a test's; the limits of RFC 8292 are looked at where the claims are.
            return jwt.decode(parts["t"], key, algorithms=["ES256"], audience=self.url, options={"verify_exp": False})
        except jwt.InvalidTokenError:
            return None


class Firebase(Receiver):
    """Google's token endpoint and FCM's HTTP v1, for one project."""

    project = "afterglow-test"

    def __init__(self) -> None:
        super().__init__()
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.messages: list[dict[str, Any]] = []
        self.exchanges = 0
        self.token = "ya29.first"
        self.replies: dict[str, Reply] = {}

    @property
    def account(self) -> dict[str, str]:
        """The service account's file."""
        pem = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return {
            "type": "service_account",
            "project_id": self.project,
            "private_key_id": "k1",
            "private_key": pem.decode(),
            "client_email": f"fcm@{self.project}.iam.gserviceaccount.com",
            "token_uri": f"{self.url}/token",
        }

    def take(self, path: str, headers: dict[str, str], body: bytes) -> Reply:
        """Exchanges an assertion, or takes a message."""
        if path == "/token":
            return self._exchange(parse_qs(body.decode()))
        if path != f"/v1/projects/{self.project}/messages:send":
            return Reply(404)
        if headers.get("Authorization") != f"Bearer {self.token}":
            return failure(401, "UNAUTHENTICATED")
        message = json.loads(body)["message"]
        if message["token"] in self.replies:
            return self.replies[message["token"]]
        self.messages.append(message)
        return Reply(200, {"name": f"projects/{self.project}/messages/0:1"})

    def _exchange(self, form: dict[str, list[str]]) -> Reply:
        self.exchanges += 1
        claims = jwt.decode(
            form["assertion"][0], self._key.public_key(), algorithms=["RS256"], audience=f"{self.url}/token",
            options={"verify_exp": False, "verify_iat": False},
        )  # fmt: skip
        assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
        assert claims["iss"] == self.account["client_email"]
        assert claims["scope"] == "https://www.googleapis.com/auth/firebase.messaging"
        assert claims["exp"] - claims["iat"] <= 3600
        return Reply(200, {"access_token": self.token, "expires_in": 3599, "token_type": "Bearer"})


def failure(status: int, code: str, *, field_at_fault: str = "", **headers: str) -> Reply:
    """An error as FCM documents it: the status, and `details` with its own code or the field that was wrong."""
    details: list[dict[str, Any]] = [
        {"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code}
    ]
    if field_at_fault:
        violation = {"field": field_at_fault, "description": "Invalid registration token"}
        details.append({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]})
    error = {"code": status, "message": "of a test", "status": code, "details": details}
    return Reply(status, {"error": error}, {name.replace("_", "-"): value for name, value in headers.items()})


class Gateway(Receiver):
    """A gateway for text messages with Twilio's interface."""

    account, token = "AC0123", "secret"

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[dict[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.reply: Reply | None = None

    @property
    def messages_url(self) -> str:
        """Where messages are posted."""
        return f"{self.url}/2010-04-01/Accounts/{self.account}/Messages.json"

    def take(self, path: str, headers: dict[str, str], body: bytes) -> Reply:
        """Takes a text, or answers as a test wants."""
        proof = base64.b64encode(f"{self.account}:{self.token}".encode()).decode()
        if path != urlsplit(self.messages_url).path or headers.get("Authorization") != f"Basic {proof}":
            return Reply(401, {"code": 20003, "message": "Authenticate", "status": 401})
        if self.reply is not None:
            return self.reply
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        if not {"To", "Body"} <= set(form) or not {"From", "MessagingServiceSid"} & set(form):
            return Reply(400, {"code": 21603, "message": "missing", "status": 400})
        self.texts.append(form)
        self.headers.append(headers)
        return Reply(201, {"sid": f"SM{uuid.uuid4().hex}", "status": "queued", "to": form["To"], "error_code": None})
