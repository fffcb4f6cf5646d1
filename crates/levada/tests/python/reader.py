"""Reads articles with the Python SDK of the Realtime API: logs in, streams all parts, appends a line for
each event to a file, goes on behind the lines that are there, and in the end revokes its session.

Arguments: base URL, file of lines, number of lines to wait for. WME_USERNAME and WME_PASSWORD say who.
"""

import datetime
import logging
import os
import sys
import time

import httpx

from modules.api.api_client import Client, Request
from modules.api.exceptions import APIRequestError, APIStatusError
from modules.auth.auth_client import AuthClient

BASE, PATH, WANT = sys.argv[1], sys.argv[2], int(sys.argv[3])

skipped = []


class Skips(logging.Handler):
    """Collects the warnings in which the SDK says that it drops an article."""

    def emit(self, record):
        if record.levelno >= logging.WARNING and "skip" in record.getMessage().lower():
            skipped.append(record.getMessage())


def places():
    """The next offset of each partition and the number of lines; a line that is not whole is cut off."""
    text = b""
    if os.path.exists(PATH):
        with open(PATH, "rb") as file:
            text = file.read()
        text = text[: text.rfind(b"\n") + 1]
        os.truncate(PATH, len(text))
    lines = text.splitlines()
    offsets = {}
    for line in lines:
        partition, offset = line.split(b" ")[:2]
        offsets[int(partition)] = int(offset) + 1
    return offsets, len(lines)


def main():
    logging.getLogger().addHandler(Skips())
    auth = AuthClient()
    auth.client = httpx.Client(base_url=BASE + "/v1")
    tokens = auth.login()
    client = Client(base_url=BASE + "/", realtime_url=BASE + "/", access_token=tokens["access_token"])
    offsets, seen = places()
    begin = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=1)
    file = open(PATH, "ab", buffering=0)
    while seen < WANT:
        request = Request(
            parts=list(range(10)),
            offsets=dict(offsets),
            since_per_partition={p: begin for p in range(50) if p not in offsets},
        )

        def callback(article):
            nonlocal seen
            event = article.event
            file.write(f"{event.partition} {event.offset} {article.name}\n".encode())
            offsets[event.partition] = event.offset + 1
            seen += 1
            return seen < WANT

        try:
            client.stream_articles(request, callback)
            print("the stream ended", file=sys.stderr)
        except (APIRequestError, APIStatusError) as error:
            print("the stream ended:", error, file=sys.stderr)
            time.sleep(0.1)
    print("skipped:", len(skipped), *skipped[:3])
    refreshed = auth.refresh_token(tokens["refresh_token"])
    auth.revoke_token(tokens["refresh_token"])
    for token in (tokens["access_token"], refreshed["access_token"]):
        client.set_access_token(token)
        try:
            client.stream_articles(Request(), lambda article: False)
            print("a revoked token reads")
        except APIStatusError as error:
            print("revoked:", error)


main()
