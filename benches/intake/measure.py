"""Articles in: pages, feeds, JSONL and WordPress exports; rates and peak memory, each by a process of its own.

Usage: measure.py PROGRAM [--quick]   (cargo bench --bench intake -- --quick)
`read` is `bantin import --dry-run`: what feedparser and readability do too. `stored` is all of it, into SQLite;
`again` the same file a second time, as after an interruption: each article is found unchanged.
"""

import argparse, datetime, email.utils, glob, json, os, random, subprocess, sys, tempfile, time
from xml.sax.saxutils import escape

ARGUMENTS = argparse.ArgumentParser()
ARGUMENTS.add_argument("program")
ARGUMENTS.add_argument("--quick", action="store_true")
# cargo bench says --bench to every benchmark.
ARGUMENTS.add_argument("--bench", action="store_true", help=argparse.SUPPRESS)
ARGUMENTS = ARGUMENTS.parse_args()
PROGRAM = os.path.abspath(ARGUMENTS.program)
HERE = os.path.dirname(os.path.abspath(__file__))
CORPUS = os.path.join(HERE, "../../tests/corpus")
PEERS = os.path.join(HERE, "../../target/bench-python")
# Copies of the corpus's pages; items of the feed; lines and items of small and large exports.
COPIES, ITEMS, EXPORTS = (10, 2_000, (2_000, 20_000)) if ARGUMENTS.quick else (40, 10_000, (10_000, 100_000))
DICE = random.Random(1)
WORDS = open(os.path.join(CORPUS, "baosoctrang-article.txt"), encoding="utf-8").read().split()
START = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)

READABILITY = """
import sys, glob
from readability import Document
n = 0
for path in glob.glob(sys.argv[1] + "/*"):
    document = Document(open(path, "rb").read())
    document.title(); document.summary(); n += 1
print(n)
"""
FEEDPARSER = """
import sys, feedparser
print(len(feedparser.parse(open(sys.argv[1], "rb").read()).entries))
"""


def main():
    python = peers()
    with tempfile.TemporaryDirectory() as folder:
        pages = made(folder, "pages", write_pages)
        count = len(os.listdir(pages))
        ours("pages", count, ["--dry-run", pages], folder)
        peer("pages", count, [python, "-c", READABILITY, pages], "readability-lxml")
        feed = made(folder, "tin.rss", lambda path: write_feed(path, ITEMS))
        ours("RSS", ITEMS, ["--dry-run", feed], folder)
        peer("RSS", ITEMS, [python, "-c", FEEDPARSER, feed], "feedparser")
        for name, write in (("JSONL", write_lines), ("WXR", write_export)):
            for count in EXPORTS:
                ending = {"JSONL": "jsonl", "WXR": "xml"}[name]
                path = made(folder, f"{count}.{ending}", lambda path: write(path, count))
                size = os.path.getsize(path) / 1e6
                store = os.path.join(folder, f"{name}{count}")
                os.mkdir(store)
                ours(f"{name} {size:.0f} MB", count, ["--dry-run", path], folder)
                ours(f"{name} {size:.0f} MB", count, ["--archive", path], store, "stored")
                ours(f"{name} {size:.0f} MB", count, ["--archive", path], store, "again")
                os.remove(path)


def peers():
    """The Python that has the peers."""
    python = os.path.join(PEERS, "bin/python")
    if not os.path.exists(python):
        subprocess.run([sys.executable, "-m", "venv", PEERS], check=True)
    if subprocess.run([python, "-c", "import feedparser, readability"], capture_output=True).returncode:
        wanted = ["feedparser==6.0.14", "readability-lxml", "lxml_html_clean"]
        subprocess.run([python, "-m", "pip", "install", "-q", *wanted], check=True)
    return python


def made(folder, name, write):
    path = os.path.join(folder, name)
    write(path)
    return path


def text(words):
    return " ".join(DICE.choices(WORDS, k=words))


def articles(count):
    for n in range(count):
        body = "".join(f"<p>{escape(text(60))}</p>" for _ in range(8))
        at = START + datetime.timedelta(minutes=n)
        yield n, text(10), text(30), body, at


def write_pages(path):
    os.mkdir(path)
    for page in glob.glob(os.path.join(CORPUS, "pages/*.html")):
        for copy in range(COPIES):
            with open(page, "rb") as original, open(os.path.join(path, f"{copy}-{os.path.basename(page)}"), "wb") as new:
                new.write(original.read())


def write_feed(path, count):
    with open(path, "w", encoding="utf-8") as feed:
        feed.write('<?xml version="1.0" encoding="UTF-8"?>\n<rss version="2.0"><channel><title>Báo</title>')
        for n, title, lead, body, at in articles(count):
            feed.write(
                f"<item><title>{escape(title)}</title><link>https://bao.example/{n}</link><guid>https://bao.example/{n}"
                f"</guid><pubDate>{email.utils.format_datetime(at)}</pubDate><category>Kinh tế</category>"
                f"<description>{escape(body)}</description></item>\n"
            )
        feed.write("</channel></rss>")


def write_lines(path, count):
    with open(path, "w", encoding="utf-8") as lines:
        for n, title, lead, body, at in articles(count):
            article = {
                "external_id": f"j{n}", "title": title, "summary": lead, "content_html": body,
                "categories": [f"Mục {n % 20}"], "published": at.isoformat(),
            }
            lines.write(json.dumps(article, ensure_ascii=False) + "\n")


def write_export(path, count):
    with open(path, "w", encoding="utf-8") as export:
        export.write(
            '<?xml version="1.0" encoding="UTF-8"?>\n<rss version="2.0"'
            ' xmlns:excerpt="http://wordpress.org/export/1.2/excerpt/"'
            ' xmlns:content="http://purl.org/rss/1.0/modules/content/"'
            ' xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:wp="http://wordpress.org/export/1.2/">'
            "<channel><title>Báo</title><wp:wxr_version>1.2</wp:wxr_version>\n"
        )
        for n, title, lead, body, at in articles(count):
            export.write(
                f"<item><title>{escape(title)}</title><link>https://bao.example/{n}</link>"
                f'<guid isPermaLink="false">https://bao.example/?p={n}</guid><dc:creator>khue</dc:creator>'
                f"<content:encoded><![CDATA[{body}]]></content:encoded><excerpt:encoded><![CDATA[{lead}]]></excerpt:encoded>"
                f"<wp:post_id>{n}</wp:post_id><wp:post_date_gmt>{at:%Y-%m-%d %H:%M:%S}</wp:post_date_gmt>"
                "<wp:status>publish</wp:status><wp:post_type>post</wp:post_type>"
                f'<category domain="category" nicename="m{n % 20}"><![CDATA[Mục {n % 20}]]></category></item>\n'
            )
        export.write("</channel></rss>")


def ours(what, count, arguments, folder, how="read"):
    outcome = run([PROGRAM, "import", *arguments], folder)
    tell(f"bantin, {how}", what, count, *outcome)


def peer(what, count, command, name):
    tell(name, what, count, *run(command, "/"))


def run(command, folder):
    """Seconds, processor seconds, and peak resident memory in MB."""
    begin = time.perf_counter()
    # Into a file: a child's peak is never less than what its parent had when it was born.
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        output.seek(max(0, output.seek(0, os.SEEK_END) - 4096))
        said = output.read().decode(errors="replace").strip().splitlines()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1) or not said:
        sys.exit(f"{command[:2]} ended with {process.returncode}")
    seconds = time.perf_counter() - begin
    return seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, said[-1]


def tell(who, what, count, seconds, cpu, memory, said):
    rate = f"{count / seconds:,.0f} a second, {cpu / count * 1e6:,.0f} us of a processor each"
    print(f"{what:>12} | {who:<18} | {count:>7,} in {seconds:6.2f} s | {rate} | peak {memory:,.0f} MB | {said[:70]}", flush=True)


main()
