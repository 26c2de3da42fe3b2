"""Every article that newsboat keeps in its cache. Argument: the cache's file."""
import json
import sqlite3
import sys

columns = ("feedurl", "guid", "title", "content", "deleted")
rows = sqlite3.connect(sys.argv[1]).execute(f"SELECT {', '.join(columns)} FROM rss_item ORDER BY id")
print(json.dumps([dict(zip(columns, row)) for row in rows]))
