// A subscriber of npm's pubsubhubbub: does what each line of its input says, and tells each event as
// a line of JSON.
const crypto = require("crypto");
const pubsubhubbub = require("pubsubhubbub");

const [topic, hub] = process.argv.slice(1);
const tell = (event, more) => console.log(JSON.stringify({ event, ...more }));
const secret = "bí mật của thư viện";
const subscriber = pubsubhubbub.createServer({ secret, leaseSeconds: 3600 });

// It gives the hub a key that it makes of its secret, and then checks with the secret itself
// (andris9/pubsubhubbub#9): so its secret is the key, but for the moment in which it asks.
const key = crypto.createHmac("sha1", secret).update(topic).digest("hex");
const ask = (mode) => {
  subscriber.secret = secret;
  subscriber.setSubscription(mode, topic, hub, (error) => tell("asked", { error: error?.message }));
  subscriber.secret = key;
};

subscriber.on("listen", () => {
  subscriber.callbackUrl = `http://127.0.0.1:${subscriber.server.address().port}/goi-lai?bao=1`;
  tell("listen");
});
for (const event of ["subscribe", "unsubscribe", "denied"]) {
  subscriber.on(event, (data) => {
    tell(event, { topic: data.topic, left: data.lease - Math.round(Date.now() / 1000) });
  });
}
subscriber.on("feed", ({ topic, hub, feed, headers }) => {
  tell("feed", { topic, hub, body: feed.toString("utf8"), type: headers["content-type"] });
});
subscriber.on("error", (error) => tell("error", { error: error.message }));
subscriber.listen(0, "127.0.0.1");
require("readline").createInterface({ input: process.stdin }).on("line", ask);
