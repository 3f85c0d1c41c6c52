"""The checks of tests/tidy: each takes a Tree and yields findings, "path:line: what is wrong; what to do"."""

import os
import re
from pathlib import Path

import rules


class Source:
    def __init__(self, root, path):
        self.path = path  # relative to src/, with slashes
        self.name = os.path.basename(path)
        self.folder = os.path.dirname(path)
        self.text = (root / "src" / path).read_text(encoding="utf-8", errors="replace")
        self.lines = self.text.splitlines()

    def code_lines(self):
        """Lines without comments and without the content of string literals, numbers kept."""
        return blank(self.text, strings=True).splitlines()

    def includes(self):
        for number, line in enumerate(blank(self.text, strings=False).splitlines(), 1):
            match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
            if match:
                yield number, match[1], match[2]


TOKEN = re.compile(
    r'//[^\n]*|/\*.*?\*/|(?P<raw>R"(?P<tag>[^()\\\s]{0,16})\(.*?\)(?P=tag)")|(?P<string>"(?:\\.|[^"\\\n])*")'
    r"|(?P<char>(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+')", re.S)


def blank(text, strings):
    """Replaces comments, and string contents if asked, by nothing but their line breaks."""
    def replace(match):
        token = match[0]
        if match["raw"] or match["string"] or match["char"]:
            return '""' + "\n" * token.count("\n") if strings else token
        return " " + "\n" * token.count("\n")
    return TOKEN.sub(replace, text)


def string_literals(text):
    for match in TOKEN.finditer(text):
        if match["raw"] or match["string"]:
            yield text.count("\n", 0, match.start()) + 1, match[0]


class Tree:
    def __init__(self, root):
        self.root = Path(root)
        src = self.root / "src"
        paths = sorted(p.relative_to(src).as_posix() for p in src.rglob("*") if p.suffix in (".h", ".cpp") and p.is_file())
        self.sources = [Source(self.root, path) for path in paths]

    def text_files(self, places):
        for place in places:
            for path in sorted((self.root / place).rglob("*")):
                if path.is_file() and "__pycache__" not in path.parts and path.suffix not in (".pyc", ".o"):
                    try:
                        yield path.relative_to(self.root).as_posix(), path.read_text(encoding="utf-8")
                    except UnicodeDecodeError:
                        continue


def within(path, place):
    """Is `path` the file `place`, or below the folder `place`? A place with a trailing slash or part name is a prefix."""
    return path == place or path.startswith(place if place.endswith("/") else place + "/")


def at_place(path, places):
    return any(path.startswith(place) for place in places)


def layer_of(path):
    fitting = [layer for layer in rules.LAYERS if within(path, layer)]
    return max(fitting, key=len) if fitting else None


def check_layers(tree):
    for source in tree.sources:
        layer = layer_of(source.path)
        if layer is None:
            yield f"src/{source.path}:1: this folder is in no layer; add it to LAYERS in tests/tidy/rules.py"
            continue
        rule = rules.LAYERS[layer]
        for number, quote, target in source.includes():
            if quote != '"':
                continue
            if within(target, layer):
                # Inside a layer everything may include everything, unless a finer layer of it says otherwise.
                allowed = not any(within(target, place) for place in rule.get("never", []))
            else:
                allowed = (any(within(target, place) for place in rule["may"])
                           and not any(within(target, place) for place in rule.get("never", [])))
            if not allowed:
                yield f'src/{source.path}:{number}: {layer} must not include "{target}"; {rules.LAYER_REMEDY}'


def check_include_paths(tree):
    for source in tree.sources:
        for number, quote, target in source.includes():
            if quote == '"' and (".." in target.split("/") or not (tree.root / "src" / target).is_file()):
                yield (f'src/{source.path}:{number}: no file src/{target}; write includes of ours relative to src/, in quotes, '
                       "and those of others in angle brackets")


def check_doors(tree):
    for source in tree.sources:
        for number, _, target in source.includes():
            for pattern, places, remedy in rules.DOORS:
                if re.match(pattern, target) and not at_place(source.path, places):
                    yield f"src/{source.path}:{number}: <{target}> has one door and this is not it; {remedy}"


def check_banned(tree):
    for source in tree.sources:
        for number, line in enumerate(source.code_lines(), 1):
            for pattern, places, remedy in rules.BANNED:
                match = re.search(pattern, line)
                if match and not at_place(source.path, places):
                    yield f"src/{source.path}:{number}: {match[0].strip()} is banned here; {remedy}"


def check_sql(tree):
    for source in tree.sources:
        if at_place(source.path, rules.SQL_PLACES):
            continue
        for number, literal in string_literals(source.text):
            if re.search(rules.SQL, literal, re.S):
                yield f"src/{source.path}:{number}: SQL outside the store; {rules.SQL_REMEDY}"


def check_length(tree):
    for source in tree.sources:
        if len(source.lines) > rules.MAX_LINES:
            yield (f"src/{source.path}:1: {len(source.lines)} lines, more than {rules.MAX_LINES}; a file has one reason to "
                   "change: find the second one and move it out")


def check_readme(tree):
    for folder in sorted({source.folder for source in tree.sources if source.folder}):
        if not (tree.root / "src" / folder / "README.md").is_file():
            yield (f"src/{folder}: no README.md; write at most a page: purpose, key types, where to look, what does not "
                   "belong here")


def check_names(tree):
    for source in tree.sources:
        if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*\.(h|cpp)", source.name):
            yield f"src/{source.path}:1: file names are snake_case with .h or .cpp"
        for part in re.split(r"[/_.]", source.path):
            if part in rules.VAGUE_NAMES:
                yield f"src/{source.path}:1: '{part}' says nothing; name the file after what it is about"


def check_headers(tree):
    for source in tree.sources:
        if source.name.endswith(".h") and "#pragma once" not in source.text:
            yield f"src/{source.path}:1: no #pragma once"


def namespace_of(folder):
    for special in sorted(rules.NAMESPACES, key=len, reverse=True):
        if within(folder, special):
            return "::".join([rules.NAMESPACES[special]] + [part for part in folder[len(special):].split("/") if part])
    parts = folder.split("/")
    return "::".join(["wrenn"] + (parts[1:] if parts[0] == "core" else parts))


def check_namespaces(tree):
    for source in tree.sources:
        if not source.folder:
            continue
        opened = re.findall(r"^\s*(?:inline )?namespace (wrenn[\w:]*)", source.text, re.M)
        expected = namespace_of(source.folder)
        # cp and its folders may share one namespace; a file must at least be inside its top-level folder's.
        top = namespace_of("/".join(source.folder.split("/")[:2 if source.folder.startswith("core/") else 1]))
        if opened and not any(space == expected or (space + "::").startswith(top + "::") for space in opened):
            yield f"src/{source.path}:1: namespace {opened[0]}; the path says {expected}"


def listed_sources(build_file):
    """Every 'x.cpp' that a meson.build names, as paths relative to its folder."""
    text = re.sub(r"#[^\n]*", "", build_file.read_text(encoding="utf-8"))
    return set(re.findall(r"'([\w/.+-]+\.cpp)'", text))


def check_orphans(tree):
    for top in ("src", "tests"):
        listed = set()
        for build_file in [tree.root / "meson.build", *(tree.root / top).rglob("meson.build")]:
            if not build_file.is_file():
                continue
            for name in listed_sources(build_file):
                listed.add(os.path.normpath(build_file.parent.relative_to(tree.root) / name))
        for path in sorted((tree.root / top).rglob("*.cpp")):
            name = path.relative_to(tree.root).as_posix()
            if name not in listed:
                yield f"{name}:1: no meson.build builds this file; list it or delete it"


def check_unfinished(tree):
    for path, text in tree.text_files(rules.UNFINISHED_PLACES):
        if path.startswith("tests/tidy/"):
            continue
        for number, line in enumerate(text.splitlines(), 1):
            match = re.search(rules.UNFINISHED, line)
            # mktemp templates are not notes to oneself
            if match and not re.search(r"X{6,}|\.X{3,}", line):
                yield f"{path}:{number}: {match[0]}; do it, or open an issue and say nothing here"


CHECKS = [
    ("layers: who may include whom", check_layers),
    ("includes are relative to src/", check_include_paths),
    ("third-party headers have one door", check_doors),
    ("banned calls", check_banned),
    ("SQL only in the store", check_sql),
    (f"no file longer than {rules.MAX_LINES} lines", check_length),
    ("every folder has a README.md", check_readme),
    ("file names", check_names),
    ("headers are guarded", check_headers),
    ("namespace follows path", check_namespaces),
    ("every .cpp is built", check_orphans),
    ("nothing left to do in comments", check_unfinished),
]
