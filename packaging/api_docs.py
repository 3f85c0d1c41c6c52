#!/usr/bin/python3
"""Turns the OpenAPI document into one page of HTML that needs nothing else: no script, no font, no picture.

    api_docs.py OPENAPI.yaml OUT.html.gz

Packed, because it is part of the binary: a tenth of its size.

What the document may use of OpenAPI 3.1 is what stands here: a keyword of a schema that this does not know is an error,
so that nothing is left out silently.
"""
import gzip
import html
import json
import re
import sys

import yaml

STYLE = """
:root{color-scheme:light dark;--line:#8884;--soft:#8881;--dim:#777}
body{font:15px/1.5 system-ui,sans-serif;margin:0 auto;max-width:62rem;padding:1rem 1.5rem 6rem}
code,pre{font-family:ui-monospace,monospace;font-size:.92em}
code{background:var(--soft);border-radius:3px;padding:0 .2em}
h1{margin:.5rem 0}h2{border-bottom:2px solid var(--line);margin-top:3rem}
h3{margin:2.2rem 0 .3rem;overflow-wrap:anywhere}h4{margin:1rem 0 .2rem}
h3 code{background:none;font-size:1em}
.method{border:1px solid var(--line);border-radius:4px;font:700 .75em ui-monospace,monospace;padding:.1em .5em;margin-right:.5em}
table{border-collapse:collapse;width:100%}
th,td{border-bottom:1px solid var(--line);padding:.25rem .8rem .25rem 0;text-align:left;vertical-align:top}
th{color:var(--dim);font-size:.85em;font-weight:600}
td p,li p{margin:0}td.name{white-space:nowrap}
ul.fields{border-left:1px solid var(--line);list-style:none;margin:.2rem 0;padding-left:1rem}
nav ul{columns:2;list-style:none;padding:0}nav li{break-inside:avoid;font-size:.92em}
.type,.dim{color:var(--dim)}.required{font-size:.8em;font-weight:700}
@media(max-width:45rem){nav ul{columns:1}}
"""
METHODS = ("get", "post", "put", "patch", "delete")
# Keywords of schemas that are rendered, or (the last line) say nothing to a reader.
SCHEMA = {"$ref", "type", "format", "enum", "const", "default", "examples", "description", "properties", "required", "items",
          "additionalProperties", "oneOf", "anyOf", "allOf", "pattern", "minimum", "maximum", "minLength", "maxLength",
          "minItems", "maxItems", "maxProperties", "minProperties", "propertyNames", "exclusiveMinimum", "contentEncoding",
          "contentMediaType", "uniqueItems"}


def esc(text) -> str:
    return html.escape(str(text), quote=True)


def inline(text: str) -> str:
    """`code` becomes code, the rest is text."""
    parts = re.split(r"`([^`]*)`", text)
    return "".join(f"<code>{esc(part)}</code>" if n % 2 else esc(part) for n, part in enumerate(parts))


def prose(text) -> str:
    """Paragraphs, and lists of lines that begin with a hyphen."""
    out = []
    for block in re.split(r"\n\s*\n", (text or "").strip()):
        lines = block.splitlines()
        if lines and all(re.match(r"- |  ", line) for line in lines):
            items = re.split(r"(?m)^- ", block)[1:]
            out.append("<ul>" + "".join(f"<li>{inline(' '.join(item.split()))}</li>" for item in items) + "</ul>")
        elif lines:
            out.append(f"<p>{inline(' '.join(block.split()))}</p>")
    return "".join(out)


def value(what) -> str:
    return f"<code>{esc(what if isinstance(what, str) else json.dumps(what))}</code>"


def refuse_nulls(thing, where="") -> None:
    """A comma in a description without quotes ends it in YAML, and what follows becomes a key without a value."""
    if thing is None:
        raise SystemExit(f"api_docs.py: nothing stands at {where}: is a description not quoted?")
    parts = thing.items() if isinstance(thing, dict) else enumerate(thing) if isinstance(thing, list) else ()
    for key, part in parts:
        refuse_nulls(part, f"{where}/{key}")


class Page:
    def __init__(self, document):
        self.document = document

    def follow(self, thing):
        """What a $ref of a parameter or an answer leads to."""
        while "$ref" in thing:
            found = self.document
            for key in thing["$ref"].removeprefix("#/").split("/"):
                found = found[key]
            thing = found
        return thing

    def kind(self, schema) -> str:
        """What it is, in a few words."""
        if unknown := set(schema) - SCHEMA:
            raise SystemExit(f"api_docs.py: keywords that it cannot render: {sorted(unknown)} in {schema}")
        if "$ref" in schema:
            name = schema["$ref"].rsplit("/", 1)[1]
            return f'<a href="#schema-{esc(name)}">{esc(name)}</a>'
        for word, joint in (("oneOf", " or "), ("anyOf", " or "), ("allOf", " and ")):
            if word in schema:
                return joint.join(self.kind(one) for one in schema[word])
        types = schema.get("type", "anything")
        text = " or ".join(types) if isinstance(types, list) else types
        if "format" in schema:
            text += f" ({schema['format']})"
        text = esc(text)
        if text.startswith("array") and "items" in schema:
            text = f"array of {self.kind(schema['items'])}"
        extra = schema.get("additionalProperties")
        if isinstance(extra, dict) and "properties" not in schema:
            text = f"object of {self.kind(extra)}"
        return text

    def limits(self, schema) -> str:
        """What it may be, in a sentence."""
        words = []
        for key, text in (("const", "always {}"), ("default", "default {}"), ("minimum", "at least {}"),
                          ("exclusiveMinimum", "more than {}"), ("maximum", "at most {}"), ("pattern", "matches {}"),
                          ("contentEncoding", "encoded as {}"), ("contentMediaType", "holds {}")):
            if key in schema:
                words.append(text.format(value(schema[key])))
        for few, many, of in (("minLength", "maxLength", "characters"), ("minItems", "maxItems", "items"),
                              ("minProperties", "maxProperties", "entries")):
            if few in schema and many in schema:
                words.append(f"{schema[few]} to {schema[many]} {of}")
            elif few in schema:
                words.append(f"at least {schema[few]} {of}")
            elif many in schema:
                words.append(f"at most {schema[many]} {of}")
        if schema.get("uniqueItems"):
            words.append("none twice")
        if "enum" in schema:
            words.append("one of " + ", ".join(value(one) for one in schema["enum"]))
        if "propertyNames" in schema:
            words.append(f"names: {self.kind(schema['propertyNames'])} {self.limits(schema['propertyNames'])}")
        if "examples" in schema:
            words.append("such as " + ", ".join(value(one) for one in schema["examples"]))
        for inner in (schema.get("items"), schema.get("additionalProperties")):
            if isinstance(inner, dict) and "$ref" not in inner and (told := self.limits(inner)):
                words.append("each: " + told)
        return "; ".join(words)

    def fields(self, schema) -> str:
        """What it is made of."""
        if "$ref" in schema:
            return ""
        out = []
        for name, field in (schema.get("properties") or {}).items():
            required = ' <span class="required">required</span>' if name in schema.get("required", []) else ""
            out.append(f'<li><code>{esc(name)}</code> <span class="type">{self.kind(field)}</span>{required} {self.about(field)}</li>')
        made = f'<ul class="fields">{"".join(out)}</ul>' if out else ""
        for word in ("oneOf", "anyOf", "allOf"):
            made += "".join(self.fields(one) for one in schema.get(word, []))
        for inner in (schema.get("items"), schema.get("additionalProperties")):
            if isinstance(inner, dict):
                made += self.fields(inner)
        return made

    def about(self, schema) -> str:
        text = inline(" ".join(schema.get("description", "").split()))
        limits = self.limits(schema)
        return " ".join(part for part in (text, f'<span class="dim">{limits}</span>' if limits else "", self.fields(schema)) if part)

    def content(self, content) -> str:
        out = []
        for media, told in (content or {}).items():
            schema = told.get("schema", {})
            out.append(f'<code>{esc(media)}</code> <span class="type">{self.kind(schema)}</span> {self.about(schema)}')
        return "<br>".join(out)

    def parameters(self, parameters) -> str:
        if not parameters:
            return ""
        rows = []
        for one in map(self.follow, parameters):
            required = ' <span class="required">required</span>' if one.get("required") else ""
            rows.append(f'<tr><td class="name"><code>{esc(one["name"])}</code></td><td>{esc(one["in"])}</td>'
                        f'<td><span class="type">{self.kind(one.get("schema", {}))}</span>{required} '
                        f'{prose(one.get("description"))}{self.about(one.get("schema", {}))}</td></tr>')
        return f'<h4>Parameters</h4><table><tr><th>Name<th>In<th>Meaning</tr>{"".join(rows)}</table>'

    def answers(self, responses) -> str:
        rows = []
        for status, told in responses.items():
            one = self.follow(told)
            headers = "".join(
                f"<p><code>{esc(name)}:</code> <span class=\"type\">{self.kind(self.follow(header).get('schema', {}))}</span> "
                f"{inline(self.follow(header).get('description', ''))}</p>" for name, header in one.get("headers", {}).items())
            rows.append(f'<tr><td class="name">{esc(status)}</td><td>{prose(one["description"])}{headers}'
                        f'{self.content(one.get("content"))}</td></tr>')
        return f'<h4>Answers</h4><table><tr><th>Status<th>Meaning</tr>{"".join(rows)}</table>'

    def credentials(self, operation) -> str:
        names = [" and ".join(one) or "none" for one in operation.get("security", self.document.get("security", []))]
        return "none" if not names else " or ".join(
            f'<a href="#credential-{esc(name)}">{esc(name)}</a>' if name != "none" else name for name in names)

    def operation(self, path, method, shared, operation) -> str:
        body = ""
        if "requestBody" in operation:
            told = self.follow(operation["requestBody"])
            required = ' <span class="required">required</span>' if told.get("required") else ""
            body = f'<h4>Body{required}</h4>{prose(told.get("description"))}<div>{self.content(told["content"])}</div>'
        return (f'<section id="{esc(operation["operationId"])}"><h3><span class="method">{method.upper()}</span>'
                f'<code>{esc(path)}</code></h3><p><strong>{inline(operation["summary"])}</strong></p>'
                f'{prose(operation.get("description"))}<p class="dim">Credentials: {self.credentials(operation)}.</p>'
                f'{self.parameters(shared + operation.get("parameters", []))}{body}{self.answers(operation["responses"])}</section>')

    def render(self) -> str:
        info = self.document["info"]
        groups = {tag["name"]: [] for tag in self.document["tags"]}
        for path, item in self.document["paths"].items():
            if unknown := set(item) - set(METHODS) - {"parameters"}:
                raise SystemExit(f"api_docs.py: {path}: it cannot render {sorted(unknown)}")
            for method in METHODS:
                if method in item:
                    groups[item[method]["tags"][0]].append((path, method, item.get("parameters", []), item[method]))
        index = "".join(
            f'<h4><a href="#tag-{esc(tag)}">{esc(tag)}</a></h4><ul>' + "".join(
                f'<li><a href="#{esc(operation["operationId"])}"><span class="method">{method.upper()}</span>{esc(path)}</a></li>'
                for path, method, _, operation in operations) + "</ul>"
            for tag, operations in groups.items() if operations)
        told = {tag["name"]: tag.get("description") for tag in self.document["tags"]}
        sections = "".join(
            f'<h2 id="tag-{esc(tag)}">{esc(tag)}</h2>{prose(told[tag])}' + "".join(self.operation(*one) for one in operations)
            for tag, operations in groups.items() if operations)
        components = self.document["components"]
        credentials = "".join(
            f'<tr id="credential-{esc(name)}"><td class="name"><code>{esc(name)}</code></td><td>'
            + (f'{esc(scheme["in"])} <code>{esc(scheme["name"])}</code>' if "in" in scheme else
               f'<code>Authorization: {esc(scheme["scheme"].capitalize())}</code>')
            + f'</td><td>{prose(scheme.get("description"))}</td></tr>' for name, scheme in components["securitySchemes"].items())
        schemas = "".join(
            f'<section id="schema-{esc(name)}"><h3><code>{esc(name)}</code></h3>'
            f'<div><span class="type">{self.kind(schema)}</span> {self.about(schema)}</div></section>'
            for name, schema in sorted(components["schemas"].items()))
        servers = "".join(f'<li><code>{esc(server["url"])}</code> {inline(server.get("description", ""))}</li>'
                          for server in self.document["servers"])
        return (f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{esc(info["title"])} API</title>'
                f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>'
                f'<h1>{esc(info["title"])} API</h1><p class="dim">Version {esc(info["version"])}; for programs: '
                f'<a href="/openapi.yaml">/openapi.yaml</a></p>{prose(info["description"])}'
                f'<h4>Base paths</h4><ul>{servers}</ul>'
                f'<h4>Credentials</h4><table>{credentials}</table>'
                f'<nav><h2>Index</h2>{index}<p><a href="#schemas">Schemas</a></p></nav>{sections}'
                f'<h2 id="schemas">Schemas</h2>{schemas}</body></html>\n')


def main() -> int:
    if len(sys.argv) != 3:
        sys.stderr.write(__doc__)
        return 2
    with open(sys.argv[1], encoding="utf-8") as source:
        document = yaml.safe_load(source)
    refuse_nulls(document)
    with open(sys.argv[2], "wb") as out:
        out.write(gzip.compress(Page(document).render().encode(), mtime=0))
    return 0


if __name__ == "__main__":
    sys.exit(main())
