"""One poll of a library that `reader` keeps: what was new and modified, and what it holds.

Arguments: the library's file, then the feeds' addresses. Prints an object by address.
"""
import json
import sys

from reader import make_reader

library = make_reader(sys.argv[1])
polled = {}
for url in sys.argv[2:]:
    library.add_feed(url, exist_ok=True)
    change = library.update_feed(url)
    polled[url] = {
        "new": change.new if change else 0,
        "modified": change.modified if change else 0,
        "kept": {
            entry.id: {
                "title": entry.title,
                "content": entry.content[0].value,
                "published": int(entry.published.timestamp()),
                "updated": int(entry.updated.timestamp()),
            }
            for entry in library.get_entries(feed=url)
        },
    }
print(json.dumps(polled))
