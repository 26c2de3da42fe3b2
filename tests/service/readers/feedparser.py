"""What feedparser makes of RSS and Atom, beside the same article read from JSON Feed.

Arguments: a feed's address without its ending. Prints one list of entries a format; fails where a
parser was not content.
"""
import calendar
import datetime
import html
import json
import sys
import urllib.request

import feedparser


def seconds(date):
    return int(datetime.datetime.fromisoformat(date.replace("Z", "+00:00")).timestamp())


def from_xml(url):
    feed = feedparser.parse(url)
    assert feed.status == 200, (url, feed.status)
    assert feed.bozo is False or feed.bozo == 0, (url, feed.bozo_exception)
    assert feed.encoding == "utf-8", (url, feed.encoding)
    for entry in feed.entries:
        summary = entry.summary_detail
        yield {
            "id": entry.id,
            "title": entry.title,
            "link": entry.link,
            # RSS knows no plain text: its description is HTML.
            "summary": html.unescape(summary.value) if summary.type == "text/html" else summary.value,
            "content": entry.content[0].value,
            "authors": [author.name for author in entry.authors],
            "tags": [tag.term for tag in entry.tags],
            "published": calendar.timegm(entry.published_parsed),
            "updated": calendar.timegm(entry.updated_parsed),
        }


def from_json(url):
    # feedparser 6.0.14 reads no JSON Feed.
    with urllib.request.urlopen(url) as answer:
        feed = json.load(answer)
    for item in feed["items"]:
        yield {
            "id": item["id"],
            "title": item["title"],
            "link": item["url"],
            "summary": item["summary"],
            "content": item["content_html"],
            "authors": [author["name"] for author in item["authors"]],
            "tags": item["tags"],
            "published": seconds(item["date_published"]),
            "updated": seconds(item["date_modified"]),
        }


for base in sys.argv[1:]:
    print(json.dumps([list(from_xml(f"{base}.rss")), list(from_xml(f"{base}.atom")), list(from_json(f"{base}.json"))]))
