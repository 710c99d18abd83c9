"""The container's health: exit 0 when all is well. `health.py` asks this web server, `health.py worker` the other one.

Only the standard library, so that it costs little each time.
"""

import http.client
import json
import os
import sys
from urllib.parse import urlsplit


def answer(host: str, path: str) -> tuple[int, bytes]:
    """Status and body of a GET, under the name by which the site is known."""
    site = urlsplit(os.environ.get("BASE_URL", "http://127.0.0.1")).netloc
    line = http.client.HTTPConnection(host, int(os.environ.get("PORT", "8000")), timeout=4)
    line.request("GET", path, headers={"Host": site, "X-Forwarded-Proto": "https"})
    reply = line.getresponse()
    return reply.status, reply.read()


def main(arguments: list[str]) -> int:
    """0 when well, 1 with one line when not."""
    part = arguments[0] if arguments else "web"
    try:
        if part == "web":
            status, _ = answer("127.0.0.1", "/healthz")
            well = status == 200
        else:
            status, body = answer(os.environ.get("WEB_NAME", "web"), "/readyz")
            well = bool(json.loads(body)[part]["well"])
    except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException) as error:
        print(f"{part}: {error}")
        return 1
    print(f"{part}: {'well' if well else f'not well ({status})'}")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
