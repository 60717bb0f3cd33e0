"""A stand-in for a Slack channel with an incoming webhook: it takes what Slack takes, and shows it."""
