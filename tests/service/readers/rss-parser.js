// What rss-parser reads at each address; fails with its words where it could not.
const Parser = require("rss-parser");

const parser = new Parser();
Promise.all(process.argv.slice(1).map((url) => parser.parseURL(url)))
  .then((feeds) => console.log(JSON.stringify(feeds.map((feed) => feed.items))))
  .catch((error) => {
    console.error(error.message);
    process.exit(1);
  });
