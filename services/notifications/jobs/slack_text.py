"""A digest in the words of Slack: mrkdwn, in which what people wrote is escaped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from libs.integrations.slack import escaped


def sections_of(content: Mapping[str, Any], *, is_repeated: bool = False) -> list[str]:
    """The first says it all in a line; then one a topic."""
    again = " _(peut-être déjà reçu : la réponse de Slack s’était perdue)_" if is_repeated else ""
    return [f"*Relance* : {escaped(content['summary'])}{again}", *map(_section, content["groups"])]


def _section(group: Mapping[str, Any]) -> str:
    lines = [f"*{escaped(group['title'])}*", *(f"• {_line(line)}" for line in group["lines"])]
    if group["others"]:
        lines.append(f"… et {group['others']} de plus")
    if group["link"]:
        lines.append(f"<{group['link']}|Tout voir>")
    return "\n".join(lines)


def _line(line: Mapping[str, Any]) -> str:
    return f"{escaped(line['text'])} <{line['link']}|Ouvrir>" if line["link"] else escaped(line["text"])
