"""What is underneath `relance up`: all that Relance needs on one machine, started, kept alive, stopped.

up           the commands: up, down, reset
plan         what is to be started, on which ports, with which environment
environment  development's settings and secrets; what each service may know
folder       the data folder: its lock, and the state file for those who come after a crash
leftovers    ending what a killed supervisor left behind
caretaker    the small process that does so at once when the supervisor is killed
parts        one thing that runs: a command, Kafka, PostgreSQL
recipes      how each part is started
supervisor   starts parts, starts again those that die, stops them in order
rising       from nothing to ready, in order
scenario     the demo: what is done
story        what was seen of it, as values
witnesses    who is asked what happened
account      what is printed of it, and the addresses
progress     what is said while one waits
"""
