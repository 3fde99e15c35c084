"""Names of classes and sites, checked before anything is indexed by them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def class_rows(classes: Sequence[str], class_names: Sequence[str]) -> list[int]:
    """The numbers of a sub-task's classes, in the order asked for.

    Args:
      classes: names of the sub-task, at least one, each once.
      class_names: all K names in the order of the network's outputs.

    Raises:
      ValueError: a name is unknown or stands twice, or there is none.

    Example:
      >>> class_rows(["dog", "cat"], ["cat", "cow", "dog"])
      [2, 0]
    """
    known = ", ".join(class_names)
    check_is_sequence(classes)
    if len(classes) == 0:
        raise ValueError(
            f"classes: got none, expected at least one of: {known}."
        )
    rows = {name: row for row, name in enumerate(class_names)}
    for index, name in enumerate(classes):
        if name not in rows:
            raise ValueError(
                f"classes: unknown class {name!r}; known: {known}."
            )
        if name in classes[:index]:
            raise ValueError(
                f"classes: {name!r} stands twice, expected each class once; "
                f"known: {known}."
            )
    return [rows[name] for name in classes]


def check_is_sequence(classes: Sequence[int] | Sequence[str]) -> None:
    """Refuses a text, and what has no order: a set, None.

    Raises:
      ValueError: `classes` is such a thing.
    """
    if isinstance(classes, str):
        raise ValueError(
            f"classes: got the text {classes!r}, expected a sequence of "
            f"classes, e.g. ({classes!r},)."
        )
    if not hasattr(classes, "__getitem__"):
        raise ValueError(
            f"classes: got a {type(classes).__name__}, expected a sequence of "
            "classes in the order of the outputs, e.g. a tuple."
        )


def check_class_names(
    where: str, class_names: Sequence[str]
) -> tuple[str, ...]:
    """The names as a tuple, if they are texts and unique.

    Args:
      where: what the names belong to, for the message.
      class_names: the names; there may be none.

    Raises:
      ValueError: a name is no text, is empty, or stands twice.
    """
    names = tuple(class_names)
    if isinstance(class_names, str):
        raise ValueError(
            f"{where}: class_names is the text {class_names!r}, expected a "
            "sequence of texts."
        )
    for index, name in enumerate(names):
        if not isinstance(name, str) or not name:
            raise ValueError(
                f"{where}: class name {index} is {name!r}, expected a text."
            )
        if name in names[:index]:
            raise ValueError(
                f"{where}: the class name {name!r} stands twice, expected "
                "each once."
            )
    return names


def check_channels(
    what: str,
    got: Mapping[str, int],
    expected: Mapping[str, int],
    model_name: str,
) -> None:
    """Refuses what was made for another model, naming the first difference.

    Args:
      what: "mask" or "importance", for the message.
      got: width of every site of the mask or importance.
      expected: width of every site of the model, in graph order.
      model_name: for the message.

    Raises:
      ValueError: a site is missing, has another width, or is not in the model.
    """
    remedy = (
        f"the {what} was made for another model; pass that model or make the "
        f"{what} again."
    )
    for site, channels in expected.items():
        if site not in got:
            raise ValueError(
                f"Model '{model_name}': the {what} has no site '{site}' "
                f"({channels} channels); {remedy}"
            )
        if got[site] != channels:
            raise ValueError(
                f"Model '{model_name}', site '{site}': the {what} has "
                f"{got[site]} channels, the model has {channels}; {remedy}"
            )
    for site in got:
        if site not in expected:
            raise ValueError(
                f"Model '{model_name}': the {what} has a site '{site}' which "
                f"the model has not; {remedy}"
            )
