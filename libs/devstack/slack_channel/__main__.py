"""python -m libs.devstack.slack_channel --port P --data DIR: prints one JSON line when the door is open."""

from __future__ import annotations

from libs.devstack.slack_channel.app import create_app
from libs.devstack.stand_ins.serving import serve

if __name__ == "__main__":
    serve("slack_channel", lambda options: create_app(options.data))
