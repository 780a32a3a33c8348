"""A page of HTML as a tree of its elements, for tests that look into it."""

from html.parser import HTMLParser

VOID = {"meta", "link", "img", "br", "input"}


class Element:
    def __init__(self, tag, attributes, parent):
        self.tag, self.attributes, self.parent = tag, attributes, parent
        self.children, self.texts = [], []
        if parent is not None:
            parent.children.append(self)

    def all(self, tag=None, **wanted):
        """Every element below with such a tag and attributes, in order; True is any value."""
        found = []
        for child in self.children:
            fits = all(
                name in child.attributes and value in (True, child.attributes[name])
                for name, value in wanted.items()
            )
            if fits and tag in (None, child.tag):
                found.append(child)
            found += child.all(tag, **wanted)
        return found

    def one(self, tag=None, **wanted):
        (found,) = self.all(tag, **wanted)
        return found

    @property
    def text(self):
        return "".join(part if isinstance(part, str) else part.text for part in self.texts)

    def __getitem__(self, name):
        return self.attributes[name]


class Tree(HTMLParser):
    """Elements of a page; a tag that is closed out of order fails."""

    def __init__(self, text):
        super().__init__()
        self.root = self.at = Element("", {}, None)
        self.feed(text)
        self.close()
        assert self.at is self.root, f"{self.at.tag} is never closed"

    def handle_starttag(self, tag, attrs):
        assert len(dict(attrs)) == len(attrs), attrs
        element = Element(tag, {name: value or "" for name, value in attrs}, self.at)
        self.at.texts.append(element)
        if tag not in VOID:
            self.at = element

    def handle_startendtag(self, tag, attrs):
        self.at.texts.append(Element(tag, dict(attrs), self.at))

    def handle_endtag(self, tag):
        assert tag == self.at.tag, f"</{tag}> in <{self.at.tag}>"
        self.at = self.at.parent

    def handle_data(self, data):
        self.at.texts.append(data)
