"""HTML put together so that text can never become markup: what is no Markup is escaped."""

from html import escape


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Content = Markup | str | int | float


def tag(name: str, /, *content: Content, **attributes: Content | bool | None) -> Markup:
    """An element. Attributes: True stands alone, False and None are left out, ``class_`` and ``for_`` lose
    their underscore, others become hyphens. SVG wants its own spelling: ``viewBox`` stays as it is.
    """
    written = "".join(_attribute(key, value) for key, value in attributes.items())
    return Markup(f"<{name}{written}>{joined(*content)}</{name}>")


def void(name: str, /, **attributes: Content | bool | None) -> Markup:
    """An element without content or end."""
    return Markup(f"<{name}{''.join(_attribute(key, value) for key, value in attributes.items())}>")


def joined(*content: Content) -> Markup:
    """All of it, one after the other; what is no Markup escaped."""
    return Markup("".join(part if isinstance(part, Markup) else escape(str(part)) for part in content))


def _attribute(key: str, value: Content | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'
