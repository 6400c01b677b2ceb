# What schemathesis lacks to speak to prompt-registry: how a document is sent. Read by scripts/fuzz.mjs.
import schemathesis


@schemathesis.serializer("text/markdown")
class Markdown:
    def as_requests(self, context, value):
        text = value if isinstance(value, (bytes, str)) else str(value)
        # Half a surrogate pair goes out as the bytes it would have: the server has to refuse them.
        return {"data": text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")}

    def as_werkzeug(self, context, value):
        return self.as_requests(context, value)
