"""Finds text on pages that Streamlit would read as Markdown and that nobody escaped.

Streamlit reads Markdown in labels, captions, help, options of some widgets, values of metrics. What may stand there is
our own (constants in code), a number, or what went through ``words.plain`` or ``words.prose``; everything is followed
through variables, parameters, comprehensions and the functions of ``app`` back to one of these.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict

ESCAPES = {"plain", "prose"}
# Of every call: the first argument, and these names. Of those below, more arguments, by place.
NAMES = {"label", "body", "help", "text", "caption", "captions", "delta", "title"}
ELEMENTS = {
    *("badge", "button", "caption", "checkbox", "dialog", "download_button", "error", "expander", "file_uploader"),
    *("form_submit_button", "header", "image", "info", "link_button", "markdown", "metric", "multiselect"),
    *("number_input", "page_link", "pills", "popover", "progress", "radio", "segmented_control", "select_slider"),
    *("selectbox", "slider", "spinner", "status", "subheader", "success", "tabs", "text_area", "text_input", "title"),
    *("toast", "toggle", "warning", "write"),
}
NOT_FIRST = {"image", "page_link", "progress"}
FIRST_THREE = {"metric"}
OPTIONS = {"pills", "radio", "segmented_control", "select_slider"}  # those of others are shown as they are
NOT_STREAMLIT = {"log", "logging", "writer"}
NUMBERS = re.compile(r"(int|float|bool|None)( \| (int|float|bool|None))*")
NUMERIC_FORMAT = re.compile(r".*[dfeg%,]|%.*")  # a text refuses them; those that begin with % are a date's
STRINGS = {
    *("capitalize", "format", "join", "lower", "removeprefix", "removesuffix", "replace", "rstrip", "strip", "title"),
    *("upper", "items", "values", "keys", "get"),
}
THROUGH = {"dict", "enumerate", "filter", "list", "map", "next", "reversed", "sorted", "str", "tuple", "zip", "partial"}
ADDING = {"add", "append", "extend", "insert", "setdefault", "update"}
COUNTING = {"abs", "any", "all", "bool", "float", "int", "len", "max", "min", "round", "sum", "isinstance"}
FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef
COMPREHENSIONS = ast.ListComp | ast.GeneratorExp | ast.SetComp | ast.DictComp
FIELD = re.compile(r"^    (\w+): ([^=\n#]+?)(?: = .*| *#.*)?$", re.MULTILINE)
PROPERTY = re.compile(r"@(?:cached_)?property\n    def (\w+)\(self\) -> (.+):")


class Pages:
    """The modules that write on pages, as ``{dotted name: source}``; ``others`` are further sources with classes."""

    def __init__(self, modules, others=()):
        self.trees = {name: ast.parse(text) for name, text in modules.items()}
        self.parents, self.functions, self.calls, self.fields = {}, {}, defaultdict(list), defaultdict(set)
        self.names = {tree: name for name, tree in self.trees.items()}
        self.modules = {name: _modules(tree, self.trees) for name, tree in self.trees.items()}
        for name, tree in self.trees.items():
            self.functions[name] = {}
            for node in ast.walk(tree):
                self.parents |= dict.fromkeys(ast.iter_child_nodes(node), node)
                if isinstance(node, FUNCTIONS):
                    self.functions[name][node.name] = node
                elif isinstance(node, ast.Call):
                    self.calls[_last(node.func)].append(node)
        for text in [*modules.values(), *others]:
            for field, held in [*FIELD.findall(text), *PROPERTY.findall(text)]:
                self.fields[field].add(held)
        self._asked = set()

    def unescaped(self):
        """Return every place where text may reach a page as Markdown: ``module:line: text``."""
        calls = [(name, call) for name in ELEMENTS for call in self.calls[name] if self._is_element(call)]
        texts = [text for name, call in calls for text in _texts(name, call) if not self.is_safe(text)]
        return sorted({f"{self._home(one)}:{one.lineno}: {ast.unparse(one)}" for one in texts})

    def _is_element(self, call):
        """Whether Streamlit is called: a method of it or of one of its containers."""
        root = _root(call.func)
        ours = root in NOT_STREAMLIT or root in self.modules.get(self._home(call), {})
        return isinstance(call.func, ast.Attribute) and not ours

    def is_safe(self, node):
        """Whether an expression can only be our own text, a number, or escaped."""
        if node in self._asked:  # a loop is as safe as what enters it
            return True
        self._asked.add(node)
        try:
            return getattr(self, f"_{type(node).__name__.lower()}", self._children)(node)
        finally:
            self._asked.discard(node)

    def _children(self, node):
        kinds = (ast.BinOp, ast.List, ast.Tuple, ast.Set, ast.Starred, ast.JoinedStr, ast.BoolOp, ast.Dict)
        inside = [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]
        return isinstance(node, kinds) and all(map(self.is_safe, inside))

    def _constant(self, node):
        return True

    _compare = _unaryop = _constant

    def _formattedvalue(self, node):
        wanted = ast.unparse(node.format_spec)[2:-1] if node.format_spec else ""
        return bool(NUMERIC_FORMAT.fullmatch(wanted)) or self.is_safe(node.value)

    def _ifexp(self, node):
        return self.is_safe(node.body) and self.is_safe(node.orelse)

    def _namedexpr(self, node):
        return self.is_safe(node.value)

    _subscript = _namedexpr

    def _listcomp(self, node):
        return self.is_safe(node.elt)

    _generatorexp = _setcomp = _listcomp

    def _dictcomp(self, node):
        return self.is_safe(node.key) and self.is_safe(node.value)

    def _lambda(self, node):
        return self.is_safe(node.body)

    def _attribute(self, node):
        held = self.fields.get(node.attr)
        return _is_constant(node.attr) or _is_constant(_root(node)) or bool(held and all(map(NUMBERS.fullmatch, held)))

    def _call(self, node):
        name = _last(node.func)
        if name in ESCAPES or name in COUNTING:
            return True
        given = [*node.args, *(word.value for word in node.keywords)]
        if isinstance(node.func, ast.Attribute) and name in STRINGS:
            given.append(node.func.value)
        elif name in THROUGH and given and (pairs := self._pairs(given[0])):  # of a dict: its keys
            return all(self.is_safe(pair.elts[0]) for pair in pairs)
        elif name not in THROUGH:
            function = self._function(node.func)
            return function is not None and self._returns_safe(function)
        return all(map(self.is_safe, given))

    def _returns_safe(self, function):
        if function.returns and NUMBERS.fullmatch(ast.unparse(function.returns)):
            return True
        told = [node.value for node in ast.walk(function) if isinstance(node, ast.Return | ast.Yield) and node.value]
        return bool(told) and all(map(self.is_safe, told))

    def _home(self, node):
        while node in self.parents:
            node = self.parents[node]
        return self.names.get(node, "")

    def _function(self, func):
        """The function of these modules that is called."""
        name, root = _last(func), _root(func)
        if isinstance(func, ast.Name) and name in (own := self.functions.get(self._home(func), {})):
            return own[name]
        module = self.modules.get(self._home(func), {}).get(root)
        found = [self.functions[module][name]] if module and name in self.functions[module] else []
        found = found or [made[name] for made in self.functions.values() if name in made and root == name]
        return found[0] if len(found) == 1 else None

    def _name(self, node):
        if _is_constant(node.id):
            return True
        scope = self._scope(node, node.id)
        bound = list(self._bound(scope, node.id))
        if node.id in _parameters(scope):
            return self._parameter(scope, node.id) and all(map(self.is_safe, bound))
        return bool(bound) and all(map(self.is_safe, bound))

    def _scope(self, node, name):
        """The nearest comprehension, lambda, function or module that binds a name."""
        while node in self.parents:
            node = self.parents[node]
            is_scope = isinstance(node, COMPREHENSIONS | ast.Lambda | FUNCTIONS)
            if is_scope and (name in _parameters(node) or any(True for _ in self._bound(node, name))):
                return node
        return node

    def _bound(self, scope, name):
        """What a name is set to inside a scope."""
        if isinstance(scope, COMPREHENSIONS):
            for part in scope.generators:
                yield from self._each(part.target, part.iter, name)
            return
        for node in ast.walk(scope):
            if isinstance(node, ast.For):
                yield from self._each(node.target, node.iter, name)
            else:
                yield from _set_by(node, name)

    def _each(self, target, source, name):
        """What a name is in turn, of a loop over a source."""
        if name in _names(target):
            for element in self._elements(source) or [source]:
                yield from _matched(target, element, name)

    def _elements(self, source):
        """What a loop goes over, as far as it is written out; empty where it is not."""
        if isinstance(source, ast.Tuple | ast.List):
            return source.elts
        if isinstance(source, ast.ListComp | ast.GeneratorExp):
            return [source.elt]
        if isinstance(source, ast.Name) and not _is_constant(source.id):
            bound = list(self._bound(self._scope(source, source.id), source.id))
            return self._elements(bound[0]) if len(bound) == 1 else []
        if isinstance(source, ast.Call) and _last(source.func) == "items":
            return self._pairs(source.func.value)
        return []

    def _pairs(self, source):
        if isinstance(source, ast.Dict):
            return [ast.Tuple([*pair]) for pair in zip(source.keys, source.values, strict=True)]
        if isinstance(source, ast.DictComp):
            return [ast.Tuple([source.key, source.value])]
        if isinstance(source, ast.Name) and not _is_constant(source.id):
            bound = list(self._bound(self._scope(source, source.id), source.id))
            return self._pairs(bound[0]) if len(bound) == 1 else []
        if isinstance(source, ast.Call) and (function := self._function(source.func)) is not None:
            told = [node.value for node in ast.walk(function) if isinstance(node, ast.Return)]
            return self._pairs(told[0]) if len(told) == 1 else []
        return []

    def _parameter(self, function, name):
        if isinstance(function, ast.Lambda):  # what a widget or map() hands it: the options
            call = self.parents[function]
            call = self.parents[call] if isinstance(call, ast.keyword) else call
            return isinstance(call, ast.Call) and len(call.args) > 1 and self.is_safe(call.args[1])
        annotation = next(arg.annotation for arg in _arguments(function) if arg.arg == name)
        if annotation is not None and NUMBERS.fullmatch(ast.unparse(annotation)):
            return True
        calls = [call for call in self.calls[function.name] if self._function(call.func) is function]
        given = [_given(call, function, name) or _default(function, name) for call in calls]
        return bool(given) and all(value is not None and self.is_safe(value) for value in given)


def _texts(name, call):
    yield from call.args[: 3 if name in FIRST_THREE else 0 if name in NOT_FIRST else 1]
    words = {word.arg: word.value for word in call.keywords}
    wanted = NAMES | ({"value"} if name in FIRST_THREE else set())
    yield from (value for word, value in words.items() if word in wanted or word is None)  # None: **what
    if name in OPTIONS:
        shown = words.get("format_func")
        if isinstance(shown, ast.Attribute) and shown.attr == "__getitem__":
            yield shown.value
        else:
            yield shown or (call.args[1] if len(call.args) > 1 else words["options"])


def _modules(tree, known):
    """Which of the known modules a module names, and how."""
    named = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    of = {name.asname or name.name: f"{node.module}.{name.name}" for node in named for name in node.names}
    return {name: module for name, module in of.items() if module in known}


def _last(func):
    return getattr(func, "attr", getattr(func, "id", ""))


def _root(node):
    while not isinstance(node, ast.Name):
        node = getattr(node, "value", None) or getattr(node, "func", None)
        if node is None:
            return ""
    return node.id


def _is_constant(name):
    return bool(re.fullmatch(r"_?[A-Z][A-Z0-9_]+", name))


def _names(target):
    return {node.id for node in ast.walk(target) if isinstance(node, ast.Name)}


def _set_by(node, name):
    """What a statement, or a call that adds to a list or a mapping, sets a name to."""
    if isinstance(node, ast.Assign):
        for target in node.targets:
            yield from _matched(target, node.value, name)
    elif isinstance(node, ast.AnnAssign | ast.AugAssign | ast.NamedExpr) and node.value:
        yield from _matched(node.target, node.value, name)
    elif isinstance(node, ast.Call) and _last(node.func) in ADDING and _root(node.func) == name:
        yield from node.args


def _matched(target, value, name):
    """What a name, or a part of it, is set to: its own part of a tuple, where both sides are written out."""
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
        for part, one in zip(target.elts, value.elts, strict=True):
            yield from _matched(part, one, name)
    elif not isinstance(target, ast.Attribute) and name in _names(target):
        yield value


def _arguments(function):
    args = function.args
    return [*args.posonlyargs, *args.args, *args.kwonlyargs, *filter(None, (args.vararg, args.kwarg))]


def _parameters(node):
    return {arg.arg for arg in _arguments(node)} if hasattr(node, "args") else set()


def _default(function, name):
    args = function.args
    pairs = zip(reversed([*args.posonlyargs, *args.args]), reversed(args.defaults), strict=False)
    pairs = [*pairs, *zip(args.kwonlyargs, args.kw_defaults, strict=True)]
    return next((value for arg, value in pairs if arg.arg == name), None)


def _given(call, function, name):
    """The argument of a call for a parameter; None where the default is taken."""
    for word in call.keywords:
        if word.arg == name:
            return word.value
    places = [arg.arg for arg in [*function.args.posonlyargs, *function.args.args]]
    at = places.index(name) if name in places else len(call.args)
    return call.args[at] if at < len(call.args) else None
