"""
The form for the token: what a browser without a session gets in the place of the page.

Owns its texts and that it keeps the address. Must not know which token is right. It loads nothing: without a session there is no script and no style.
"""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class _Texts:
    title: str
    how: str
    label: str
    open: str
    wrong: str


_TEXTS: Final = {
    "en": _Texts(
        "Token needed",
        "Open the address that the terminal showed when {command} started, or enter the token that it contains.",
        "Token",
        "Open",
        "This token is wrong. The server may have been started again since: then it has a new one.",
    ),
    "de": _Texts(
        "Token nötig",
        "Öffne die Adresse, die das Terminal beim Start von {command} gezeigt hat, oder gib das Token ein, das darin steht.",
        "Token",
        "Öffnen",
        "Dieses Token ist falsch. Vielleicht wurde der Server seitdem neu gestartet: Dann hat er ein neues.",
    ),
    "fr": _Texts(
        "Jeton nécessaire",
        "Ouvrez l'adresse que le terminal a affichée au démarrage de {command}, ou saisissez le jeton qu'elle contient.",
        "Jeton",
        "Ouvrir",
        "Ce jeton est faux. Le serveur a peut-être été redémarré depuis : il en a alors un nouveau.",
    ),
}
"""by language, those of the page (messages.*.json); the first is for everybody else"""


def page(accepted: str, parameters: Sequence[tuple[str, str]], *, wrong: bool) -> str:
    """
    Return the form as HTML, in the first of the languages of an Accept-Language header that there is.

    The `parameters` of the address are sent with the token. `wrong`: one was given that is not right.
    """
    language = _language(accepted)
    texts = _TEXTS[language]
    hidden = "".join(
        f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">' for name, value in parameters
    )
    # The field has the focus, and so its description is read out too where an alert that was there from the start is not.
    alert = f'<p id="wrong" role="alert"><strong>{texts.wrong}</strong></p>\n' if wrong else ""
    state = ' aria-invalid="true" aria-describedby="wrong"' if wrong else ""
    field = f'<input type="password" name="token" autocomplete="current-password" autofocus required{state}>'
    return f"""<!doctype html>
<html lang="{language}"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>pixfind: {texts.title}</title>
<main>
<h1>{texts.title}</h1>
<p>{texts.how.format(command="<code>pixfind serve</code>")}</p>
{alert}<form action="/">{hidden}<label>{texts.label} {field}</label> <button>{texts.open}</button></form>
</main>
</html>
"""


def _language(accepted: str) -> str:
    """Return the first language of an Accept-Language header that there is; those with the same weight in their order."""
    weighed = []
    for part in accepted.split(","):
        name, _, weight = part.strip().partition(";q=")
        try:
            weighed.append((-float(weight or 1), name.strip().lower().partition("-")[0]))
        except ValueError:
            continue
    weighed.sort(key=lambda entry: entry[0])
    return next((name for weight, name in weighed if name in _TEXTS and weight), next(iter(_TEXTS)))
