"""One poll with feedparser, which always sends A-IM: feed. Arguments: address, tag ("" for none)."""
import json
import sys

import feedparser

url, tag = sys.argv[1:]
feed = feedparser.parse(url, etag=tag or None)
print(
    json.dumps(
        {
            "status": feed.status,
            "etag": feed.get("etag"),
            "bozo": bool(feed.bozo),
            "titles": [entry.title for entry in feed.entries],
        }
    )
)
