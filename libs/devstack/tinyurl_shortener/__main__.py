"""python -m libs.devstack.tinyurl_shortener --port P --data DIR: a JSON line when the door is open."""

from __future__ import annotations

from libs.devstack.stand_ins.serving import serve
from libs.devstack.tinyurl_shortener.app import create_app

if __name__ == "__main__":
    serve(
        "tinyurl_shortener",
        lambda options: create_app(options.data, f"http://{options.host}:{options.port}"),
    )
