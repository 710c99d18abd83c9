"""The headers that every answer carries, whoever made it: pages, API, static files, refusals and errors."""

from collections.abc import Callable

from csp.middleware import CSPMiddleware
from csp.utils import build_policy
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase

# For CONTENT_SECURITY_POLICY: everything from this site and nothing inline. A view that needs more says so itself
# (django-csp); docs/threat-model.md names each.
CONTENT_SECURITY: dict[str, list[str]] = {
    "default-src": ["'none'"],
    "script-src": ["'self'"],
    "style-src": ["'self'"],
    "img-src": ["'self'", "data:"],
    "font-src": ["'self'"],
    "connect-src": ["'self'"],
    "manifest-src": ["'self'"],
    "form-action": ["'self'"],
    "frame-ancestors": ["'none'"],
    "base-uri": ["'none'"],
}

# Passkeys are all that a page here needs of the machine.
PERMISSIONS = ", ".join(
    [
        *(
            f"{name}=()"
            for name in (
                "accelerometer", "autoplay", "browsing-topics", "camera", "display-capture",
                "encrypted-media", "fullscreen", "geolocation", "gyroscope", "hid", "idle-detection", "local-fonts",
                "magnetometer", "microphone", "midi", "payment", "picture-in-picture", "screen-wake-lock", "serial",
                "usb", "xr-spatial-tracking",
            )
        ),
        "publickey-credentials-create=(self)",
        "publickey-credentials-get=(self)",
    ]
)  # fmt: skip

STRICT = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": PERMISSIONS,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # What may be kept says so itself: static files, the contract.
    "Cache-Control": "no-store",
}


class OwnPolicies(CSPMiddleware):
    """Middleware: the policy of content of a view that needs more than the rest; of all others it costs nothing."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """The answer, with the view's own policy where it has one."""
        if any(f"_csp_{way}" in response.__dict__ for way in ("config", "update", "replace", "exempt")):
            return super().process_response(request, response)
        return response


class StrictHeaders:
    """Middleware, the outermost: what an answer does not say itself is the strictest."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.headers = {**STRICT, "Content-Security-Policy": build_policy()}  # the same for nearly all, so made once
        if settings.SECURE_HSTS_SECONDS:
            # Said over http as well, where browsers ignore it: a proxy in front may speak https for us.
            self.headers["Strict-Transport-Security"] = (
                f"max-age={settings.SECURE_HSTS_SECONDS}; includeSubDomains; preload"
            )

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """The answer, with all of them."""
        response = self.get_response(request)
        for name, value in self.headers.items():
            response.setdefault(name, value)
        return response
